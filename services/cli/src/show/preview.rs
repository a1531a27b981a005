//! How a picture looks so far, in half blocks under the bars of a terminal that shows 24-bit colours.

use std::env;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::picture::half_blocks;

/// Width in columns; as many rows as it takes, two pixels each.
const COLUMNS: u32 = 24;
/// Longest preview that is looked at, in bytes of base64.
const LONGEST: usize = 1 << 20;

/// Whether the terminal can and the user has nothing against it.
pub fn is_possible() -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    let colours = matches!(variable("COLORTERM").as_str(), "truecolor" | "24bit");
    let term = variable("TERM");
    let known = term.contains("kitty") || term.contains("ghostty") || term.contains("direct");
    variable("NO_COLOR").is_empty() && term != "dumb" && (colours || known)
}

/// The preview of an event as lines; none if it is no picture.
pub fn lines(preview: &str) -> Option<String> {
    if preview.len() > LONGEST {
        return None;
    }
    let png = STANDARD.decode(preview).ok()?;
    let picture = image::load_from_memory_with_format(&png, image::ImageFormat::Png).ok()?;
    let text = half_blocks(&picture.to_rgb8(), COLUMNS);
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_as_wide_as_it_may_and_rubbish_is_none() {
        let picture = image::RgbImage::new(64, 64);
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let text = lines(&STANDARD.encode(png.into_inner())).unwrap();
        assert_eq!(text.lines().count(), 12);
        assert_eq!(text.matches('▀').count(), 12 * 24);
        assert_eq!(lines("no picture"), None);
        assert_eq!(lines(&"A".repeat(LONGEST + 1)), None);
    }
}
