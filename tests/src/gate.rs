//! An HTTP gate before an object store: lets requests through, refuses writes, delays them, or loses the answers to them.
//!
//! Bytes pass unchanged, so that signatures stay valid. One request at a time is under way on a connection, as HTTP/1.1 clients do it, so that
//! an answer of the gate's own never mixes with one of the store.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, watch},
    task::JoinHandle,
};

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// What the gate does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Everything passes.
    Open,
    /// Writes are answered with this status and code, and never reach the store.
    Refuse(u16, &'static str),
    /// Everything passes, this much later.
    Slow(Duration),
    /// Writes reach the store; the connection breaks before the answer.
    LoseAnswers,
}

/// The gate. Ends when dropped.
pub struct Gate {
    port: u16,
    mood: watch::Sender<Mood>,
    disturbed: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// A gate before the store at `port` of this machine.
    pub async fn before(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let store = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (mood, seen) = watch::channel(Mood::Open);
        let disturbed = Arc::<AtomicU64>::default();
        Ok(Self {
            port: listener.local_addr()?.port(),
            mood,
            disturbed: disturbed.clone(),
            accepting: tokio::spawn(accept(listener, store, seen, disturbed)),
        })
    }

    /// Where programs find the store.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What happens to requests from now on.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How many requests were refused, delayed or lost their answer so far.
    pub fn disturbed(&self) -> u64 {
        self.disturbed.load(Ordering::Relaxed)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    store: SocketAddr,
    mood: watch::Receiver<Mood>,
    disturbed: Arc<AtomicU64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (mood, disturbed) = (mood.clone(), disturbed.clone());
        tokio::spawn(async move {
            // What goes wrong here the client sees as a broken connection.
            let _ = serve(client, store, &mood, &disturbed).await;
        });
    }
}

/// Serves one connection until either side ends it.
async fn serve(
    client: TcpStream,
    store: SocketAddr,
    mood: &watch::Receiver<Mood>,
    disturbed: &AtomicU64,
) -> Result<()> {
    let store = TcpStream::connect(store).await?;
    client.set_nodelay(true)?;
    store.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_store, mut to_store) = store.into_split();
    let to_client = Mutex::new(to_client);
    let lose = AtomicBool::new(false);
    let asking = async {
        let mut from_client = BufReader::new(from_client);
        while let Some(head) = Head::read(&mut from_client).await? {
            let mood = *mood.borrow();
            let touched = mood != Mood::Open && (head.writes || matches!(mood, Mood::Slow(_)));
            disturbed.fetch_add(u64::from(touched), Ordering::Relaxed);
            match mood {
                Mood::Refuse(status, code) if head.writes => {
                    head.pass_body(&mut from_client, &mut tokio::io::sink())
                        .await?;
                    to_client
                        .lock()
                        .await
                        .write_all(&refusal(status, code))
                        .await?;
                    continue;
                }
                Mood::Slow(time) => tokio::time::sleep(time).await,
                Mood::LoseAnswers if head.writes => lose.store(true, Ordering::SeqCst),
                _ => {}
            }
            to_store.write_all(&head.bytes).await?;
            head.pass_body(&mut from_client, &mut to_store).await?;
        }
        Ok(())
    };
    tokio::select! {
        asked = asking => asked,
        answered = answer(from_store, &to_client, &lose) => answered,
    }
}

/// Passes answers on, unless one is to be lost.
async fn answer(
    mut from_store: OwnedReadHalf,
    to_client: &Mutex<OwnedWriteHalf>,
    lose: &AtomicBool,
) -> Result<()> {
    let mut buffer = vec![0; MAX_HEAD];
    loop {
        let length = from_store.read(&mut buffer).await?;
        if length == 0 || lose.load(Ordering::SeqCst) {
            return Ok(());
        }
        to_client.lock().await.write_all(&buffer[..length]).await?;
    }
}

/// The head of a request.
struct Head {
    bytes: Vec<u8>,
    /// It would change the store.
    writes: bool,
    /// Bytes of the body that follows.
    length: u64,
}

impl Head {
    /// Reads a head; none at the end of the connection.
    async fn read(from: &mut BufReader<OwnedReadHalf>) -> Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let start = bytes.len();
            if from.read_until(b'\n', &mut bytes).await? == 0 {
                ensure!(bytes.is_empty(), "the connection ended within a head");
                return Ok(None);
            }
            ensure!(bytes.len() <= MAX_HEAD, "the head is too long");
            if bytes[start..] == *b"\r\n" {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if text.contains("transfer-encoding:") {
            bail!("bodies of unknown length are not passed on");
        }
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(Ok(0), |length| length.trim().parse())?;
        let writes = ["put ", "post ", "delete "]
            .iter()
            .any(|method| text.starts_with(method));
        Ok(Some(Self {
            bytes,
            writes,
            length,
        }))
    }

    async fn pass_body(
        &self,
        from: &mut BufReader<OwnedReadHalf>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<()> {
        let passed = tokio::io::copy(&mut from.take(self.length), to).await?;
        ensure!(passed == self.length, "the connection ended within a body");
        Ok(to.flush().await?)
    }
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{code}</Code><Message>chaos</Message></Error>");
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {code}\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
