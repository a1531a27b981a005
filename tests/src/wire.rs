//! A TCP connection between a program and a server that tests hold up or cut.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Bytes that one read takes at most.
const CHUNK: usize = 32 << 10;

/// A listener that passes everything on to a server, both ways. Ends when dropped.
pub struct Wire {
    port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Nothing is passed on at the moment.
    held: bool,
    /// How many times everything was cut.
    cuts: u64,
}

impl Wire {
    /// A wire to the server at `port` of this machine.
    pub async fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (state, seen) = watch::channel(State::default());
        Ok(Self {
            port: listener.local_addr()?.port(),
            state,
            accepting: tokio::spawn(accept(listener, server, seen)),
        })
    }

    /// Where programs connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Keeps back whatever is sent from now on; the connections stand.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.held = true);
    }

    /// Passes on what was kept back, and everything after it.
    pub fn release(&self) {
        self.state.send_modify(|state| state.held = false);
    }

    /// Ends every connection at once; new ones are taken.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, state: watch::Receiver<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let born = state.borrow().cuts;
        let state = state.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            // Whichever side ends first ends both.
            tokio::select! {
                () = carry(from_client, to_server, state.clone(), born) => {}
                () = carry(from_server, to_client, state, born) => {}
            }
        });
    }
}

/// Passes bytes on until one side ends or the wire is cut.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    born: u64,
) {
    let mut cut = state.clone();
    let passing = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from.read(&mut buffer).await.unwrap_or(0);
            let open = state.wait_for(|state| !state.held).await.is_ok();
            if length == 0 || !open || to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = passing => {}
        _ = cut.wait_for(|state| state.cuts != born) => {}
    }
}
