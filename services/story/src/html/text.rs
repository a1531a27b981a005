//! Text on the page is text: nothing in it is markup.

use std::fmt::{self, Display, Write as _};

/// Text from anywhere, as content or inside of a quoted attribute.
pub struct Esc<'a>(pub &'a str);

impl Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                // What has no meaning in HTML, and what would turn the direction of what follows.
                c if c.is_control() || is_direction(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A term and what is said of it, in a list of such.
pub fn row(out: &mut String, term: &str, said: &str) {
    let _ = writeln!(
        out,
        "<div><dt>{}</dt><dd>{}</dd></div>",
        Esc(term),
        Esc(said)
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_is_markup(text in "\\PC{0,40}|[<>&\"'a/=\u{0}-\u{1f}\u{202e}]{0,40}") {
            let escaped = Esc(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'', '\0', '\u{202e}']), "{escaped}");
            let rest = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"]
                .iter()
                .fold(escaped, |rest, entity| rest.replace(entity, ""));
            prop_assert!(!rest.contains('&'), "{rest}");
        }
    }
}
