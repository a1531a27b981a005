//! Results on stdout, progress on stderr.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

/// Text from a model or a file on its way to a terminal: what could steer it is left out, line breaks stay.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// Writes a result. Whoever reads it may have closed it (`| head`): that is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes one JSON document.
pub fn json(document: &impl serde::Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// Says how far it is, on one line of a terminal.
pub fn progress(text: &str) {
    let mut err = io::stderr().lock();
    if err.is_terminal() {
        // Nobody is left to hear of an error here.
        let _ = write!(err, "\r\x1b[K{text}");
        let _ = err.flush();
    }
}

/// Ends the line of progress.
pub fn progress_done() {
    progress("");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\td"), "a [31mb \nc\td");
    }
}
