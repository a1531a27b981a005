//! What people see: text, progress, pictures in the terminal, the story of a trace.

mod board;
mod picture;
mod story;

use std::io::{self, Write};

pub use board::Board;
pub use picture::show as picture;
pub use story::story;

/// Writes to stdout. Whoever reads it may have seen enough and closed it (`| head`): that is no error.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// One line of text from elsewhere: what could steer the terminal is left out.
pub fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The same, with line breaks kept.
pub fn multiline(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

/// `text` on one line, cut to `most` characters.
pub fn short(text: &str, most: usize) -> String {
    let text = line(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(super::line("a\u{1b}[2Jb\nc\u{9b}d"), "a [2Jb c d");
        assert_eq!(super::multiline("a\nb\u{7}"), "a\nb ");
        assert_eq!(super::short("abcdef", 4), "abc…");
        assert_eq!(super::short("abcd", 4), "abcd");
    }
}
