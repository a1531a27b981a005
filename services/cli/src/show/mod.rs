//! What people see: text, tables, progress, pictures in the terminal, the story of a trace. Texts are coloured when they
//! are made and stripped when they are written, by the same rules as clap's own: NO_COLOR, TERM=dumb, no terminal.

mod board;
mod output;
mod picture;
mod preview;
mod sixel;
mod story;
mod style;
mod table;
mod yaml;

use std::io::{self, Write};

use atelier_pictures::Bounds;

pub use atelier_story::words::line;
pub use board::{Board, Lane};
use output::printable;
pub use output::{OutputArgs, json};
pub use picture::show as picture;
pub use preview::PreviewArgs;
pub use story::story;
pub use style::{bold, good, state, wrong};
pub use table::{Table, ago};

/// What the farm draws is within these; what is beyond is not decoded.
pub const DRAWN: Bounds = Bounds::of(16_384, 1 << 30);

/// Writes to stdout. Whoever reads it may have seen enough and closed it (`| head`): that is no error.
pub fn print(text: &str) -> io::Result<()> {
    write(&mut anstream::stdout().lock(), text.as_bytes())
}

/// Writes bytes to stdout as they are.
pub fn print_raw(bytes: &[u8]) -> io::Result<()> {
    write(&mut io::stdout().lock(), bytes)
}

fn write(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says something on stderr that is no result.
pub fn note(text: &str) {
    // Nobody is left to hear of an error here.
    let _ = writeln!(anstream::stderr().lock(), "{}", multiline(text));
}

/// Tells an error on stderr.
pub fn error(text: &str) {
    let text = multiline(text);
    let _ = writeln!(
        anstream::stderr().lock(),
        "{} {text}",
        style::wrong("error:")
    );
}

/// Text from elsewhere, its line breaks kept: what could steer the terminal is left out.
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
