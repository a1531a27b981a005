//! Server-sent events of a request: bytes in, events out.

use anyhow::{Context, Result, ensure};
use atelier_proto::http::Event;
use reqwest::Response;

/// Longest event, in bytes; a preview picture is inside.
const LONGEST_EVENT: usize = 8 << 20;

/// One open stream.
#[derive(Debug)]
pub struct Events {
    answer: Response,
    parser: Parser,
}

impl Events {
    /// The events in the body of `answer`.
    pub fn of(answer: Response) -> Self {
        Self {
            answer,
            parser: Parser::default(),
        }
    }

    /// The next event; none when the stream ends.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(data) = self.parser.event() {
                let event = serde_json::from_str(&data).context("an event of another version")?;
                return Ok(Some(event));
            }
            match self.answer.chunk().await? {
                Some(bytes) => self.parser.push(&bytes)?,
                None => return Ok(None),
            }
        }
    }
}

/// The part of the event-stream format that matters here: `data:` lines, ended by an empty line.
#[derive(Debug, Default)]
pub struct Parser {
    waiting: Vec<u8>,
}

impl Parser {
    /// Takes what came; an error when an event gets too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.waiting
            .extend(bytes.iter().filter(|&&byte| byte != b'\r'));
        ensure!(
            self.waiting.len() <= LONGEST_EVENT,
            "an event is longer than {LONGEST_EVENT} bytes"
        );
        Ok(())
    }

    /// Data of the next whole event that has any; comments and other fields are skipped.
    pub fn event(&mut self) -> Option<String> {
        while let Some(end) = self.waiting.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.waiting.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&block);
            let data: Vec<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|value| value.strip_prefix(' ').unwrap_or(value))
                .collect();
            if !data.is_empty() {
                return Some(data.join("\n"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for piece in pieces {
            parser.push(piece).unwrap();
            found.extend(std::iter::from_fn(|| parser.event()));
        }
        found
    }

    #[test]
    fn however_the_bytes_are_cut_the_events_are_the_same() {
        let stream = b": hello\n\nevent: a\ndata: one\n\nid: 3\r\ndata:two\r\ndata: lines\r\n\r\ndata: not over";
        let whole = parse(&[stream]);
        assert_eq!(whole, ["one", "two\nlines"]);
        for cut in 0..stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(parse(&[head, tail]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..9).any(|_| parser.push(&piece).is_err()));
    }
}
