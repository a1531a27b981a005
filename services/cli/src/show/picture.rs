//! A finished picture in the terminal, in the way that was chosen.

use std::{fmt::Write as _, io::stdout};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{RgbImage, imageops::FilterType};

use super::{DRAWN, preview::Preview, sixel};

/// Widest picture in half blocks, in columns.
const WIDEST: u32 = 64;
/// Width of a picture in sixels, in pixels.
const SIXELS: u32 = 384;
/// Bytes of base64 in one piece; kitty's protocol allows no more.
const PIECE: usize = 4096;

/// Shows a PNG on stdout. A picture that cannot be shown is no error.
pub fn show(png: &[u8], how: Preview) {
    let text = match how {
        Preview::None | Preview::Auto => return,
        Preview::Kitty => kitty(png),
        Preview::Iterm => iterm(png),
        Preview::Sixel | Preview::Blocks => {
            let Ok(picture) = atelier_pictures::read(png, &DRAWN) else {
                return;
            };
            let picture = picture.into_rgb8();
            match how {
                Preview::Sixel => sixel::encode(&wide(&picture, SIXELS)),
                _ => {
                    let columns = rustix::termios::tcgetwinsize(stdout())
                        .map_or(80, |size| u32::from(size.ws_col));
                    half_blocks(&picture, columns.min(WIDEST))
                }
            }
        }
    };
    let _ = super::print_raw(text.as_bytes());
}

/// The picture as wide as that.
fn wide(picture: &RgbImage, width: u32) -> RgbImage {
    let height = (width * picture.height() / picture.width().max(1)).max(1);
    image::imageops::resize(picture, width, height, FilterType::CatmullRom)
}

/// The PNG for iTerm2 and WezTerm: <https://iterm2.com/documentation-images.html>.
fn iterm(png: &[u8]) -> String {
    let (length, data) = (png.len(), STANDARD.encode(png));
    format!("\u{1b}]1337;File=inline=1;size={length};width=40;preserveAspectRatio=1:{data}\u{7}\n")
}

/// The PNG in escape sequences: <https://sw.kovidgoyal.net/kitty/graphics-protocol/>.
fn kitty(png: &[u8]) -> String {
    let encoded = STANDARD.encode(png);
    let mut pieces = encoded.as_bytes().chunks(PIECE).peekable();
    let mut text = String::new();
    let mut control = "f=100,a=T,";
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        let piece = String::from_utf8_lossy(piece);
        let _ = write!(text, "\u{1b}_G{control}m={more};{piece}\u{1b}\\");
        control = "";
    }
    text.push('\n');
    text
}

/// Two pixels a character: the upper one in front, the lower one behind.
pub(super) fn half_blocks(picture: &RgbImage, columns: u32) -> String {
    let (width, height) = (picture.width().max(1), picture.height().max(1));
    let columns = columns.clamp(1, width.max(1));
    let rows = (columns * height / width).max(2).next_multiple_of(2);
    let small = image::imageops::resize(picture, columns, rows, FilterType::Triangle);
    let mut text = String::new();
    for y in (0..rows).step_by(2) {
        for x in 0..columns {
            let [r, g, b] = small.get_pixel(x, y).0;
            let [lr, lg, lb] = small.get_pixel(x, y + 1).0;
            let _ = write!(text, "\u{1b}[38;2;{r};{g};{b}m\u{1b}[48;2;{lr};{lg};{lb}m▀");
        }
        text.push_str("\u{1b}[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_blocks_keep_the_shape_and_the_colours() {
        let mut picture = RgbImage::new(8, 4);
        picture
            .rows_mut()
            .take(2)
            .flatten()
            .for_each(|pixel| pixel.0 = [255, 0, 0]);
        let text = half_blocks(&picture, 8);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(text.matches('▀').count(), 16);
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with("\u{1b}[38;2;255;0;0m\u{1b}[48;2;255;0;0m▀"),
            "{first:?}"
        );
    }

    #[test]
    fn iterm_gets_every_byte_and_their_number() {
        let text = iterm(b"a picture");
        assert!(text.starts_with("\u{1b}]1337;File=inline=1;size=9;"));
        let data = text
            .trim_end()
            .trim_end_matches('\u{7}')
            .split_once(':')
            .unwrap()
            .1;
        assert_eq!(STANDARD.decode(data).unwrap(), b"a picture");
    }

    #[test]
    fn kitty_gets_every_byte_in_allowed_pieces() {
        let png: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
        let text = kitty(&png);
        let mut sent = String::new();
        for piece in text
            .trim_end()
            .split("\u{1b}\\")
            .filter(|piece| !piece.is_empty())
        {
            let (control, payload) = piece.split_once(';').unwrap();
            assert!(payload.len() <= PIECE);
            assert!(control.starts_with("\u{1b}_G"));
            sent.push_str(payload);
        }
        assert_eq!(STANDARD.decode(sent).unwrap(), png);
        assert_eq!(text.matches("m=0").count(), 1, "exactly one last piece");
    }
}
