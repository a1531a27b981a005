//! A farm that is none: answers every call with what the test says, for refusals that a real farm gives only under load.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use anyhow::Result;

/// One call as it arrived: method and path, and its headers as text in lower case.
#[derive(Clone, Debug)]
pub struct Call {
    pub target: String,
    pub headers: String,
}

/// Status, further headers, body. Status 0 hangs up without an answer.
pub type Answer = (u16, &'static str, String);

/// Listens until the test program ends.
pub struct Stub {
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Stub {
    /// Answers with what `answer` makes of the call and the number of calls before it.
    pub fn start(answer: impl Fn(&Call, usize) -> Answer + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let seen = Arc::clone(&calls);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A caller that hangs up early is the test's business.
                let _ = serve(stream, &seen, &answer);
            }
        });
        Ok(Self { url, calls })
    }

    /// What has arrived so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("nobody panics here").clone()
    }
}

fn serve(
    stream: TcpStream,
    calls: &Mutex<Vec<Call>>,
    answer: &impl Fn(&Call, usize) -> Answer,
) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let target = first.rsplit_once(' ').map_or("", |(target, _)| target);
    let mut headers = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        headers.push_str(&line.to_lowercase());
    }
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: u64 = length.map_or(Ok(0), |length| length.trim().parse())?;
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let call = Call {
        target: target.to_owned(),
        headers,
    };
    let before = {
        let mut calls = calls.lock().expect("nobody panics here");
        calls.push(call.clone());
        calls.len() - 1
    };
    let (status, further, body) = answer(&call, before);
    if status == 0 {
        return Ok(());
    }
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{further}\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// The body of a refusal.
pub fn refusal(code: &str, message: &str) -> String {
    serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
}
