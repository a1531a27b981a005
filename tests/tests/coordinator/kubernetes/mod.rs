//! A server in the place of Kubernetes' API: TLS, one kind of call, and the answer that a test wants. It keeps no pods and checks no rights.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

/// The authority that the server's certificate is of.
pub const AUTHORITY: &str = include_str!("authority.pem");
/// Another authority.
pub const ANOTHER: &str = include_str!("another.pem");
/// Certificate of 127.0.0.1 and its key.
const SERVER: &[u8] = include_bytes!("server.pem");

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status.
    Status(u16),
    /// Nothing, ever.
    Nothing,
}

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method and path.
    pub line: String,
    /// By names in small letters.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Value,
}

/// The server. Ends with the test's runtime.
pub struct Kubernetes {
    /// Its address.
    pub url: String,
    /// Folder of a service account, as a pod has it.
    pub account: PathBuf,
    state: Arc<Mutex<State>>,
}

struct State {
    answer: Answer,
    calls: Vec<Call>,
}

impl Kubernetes {
    /// A server that takes everything, and an account in `folder` that believes it.
    pub async fn start(folder: &Path) -> Result<Self> {
        let account = folder.join("account");
        fs::create_dir(&account)?;
        for (name, text) in [
            ("token", "first\n"),
            ("namespace", "graphics"),
            ("ca.crt", AUTHORITY),
        ] {
            fs::write(account.join(name), text)?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            answer: Answer::Status(200),
            calls: Vec::new(),
        }));
        let acceptor = acceptor()?;
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), shared.clone());
                // Whoever does not believe the certificate goes away again.
                tokio::spawn(async move { serve(stream, acceptor, state).await.ok() });
            }
        });
        Ok(Self {
            url,
            account,
            state,
        })
    }

    /// What it answers from now on.
    pub fn answer(&self, answer: Answer) {
        self.lock().answer = answer;
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The costs that a pod was told, in order.
    pub fn costs(&self, pod: &str) -> Vec<String> {
        let path = format!("PATCH /api/v1/namespaces/graphics/pods/{pod}");
        let calls = self.lock();
        let of_it = calls.calls.iter().filter(|call| call.line == path);
        of_it
            .map(|call| {
                let annotations = &call.body["metadata"]["annotations"];
                let cost = &annotations["controller.kubernetes.io/pod-deletion-cost"];
                cost.as_str().unwrap_or("none").to_owned()
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

fn acceptor() -> Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(SERVER)?;
    let key = PrivateKeyDer::from_pem_slice(SERVER)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) -> Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut bytes = Vec::new();
    while let Some(call) = next_call(&mut stream, &mut bytes).await? {
        let answer = {
            let mut state = state.lock().expect("nobody panics while holding it");
            state.calls.push(call);
            state.answer
        };
        let Answer::Status(status) = answer else {
            std::future::pending::<()>().await;
            continue;
        };
        let body = r#"{"kind":"Whatever"}"#;
        let head = format!(
            "HTTP/1.1 {status} so\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).await?;
    }
    Ok(())
}

/// The next call on a connection; none when it ends.
async fn next_call(stream: &mut TlsStream<TcpStream>, bytes: &mut Vec<u8>) -> Result<Option<Call>> {
    loop {
        if let Some((call, length)) = parse(bytes)? {
            bytes.drain(..length);
            return Ok(Some(call));
        }
        let mut chunk = [0; 4_096];
        match stream.read(&mut chunk).await? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// A whole call and its length; none as long as something of it is missing.
fn parse(bytes: &[u8]) -> Result<Option<(Call, usize)>> {
    let text = str::from_utf8(bytes)?;
    let Some((head, rest)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let (line, lines) = head.split_once("\r\n").context("a call has headers")?;
    let headers: HashMap<String, String> = lines
        .split("\r\n")
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").context("a body")?.parse()?;
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let call = Call {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: serde_json::from_str(body)?,
    };
    Ok(Some((call, head.len() + 4 + length)))
}
