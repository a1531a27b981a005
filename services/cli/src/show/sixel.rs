//! A picture as sixels: six rows at a time, one pass for each colour, from a palette of 216 (VT340 manual, chapter 14).

use std::fmt::Write as _;

use image::RgbImage;

/// Levels of each of red, green and blue.
const LEVELS: i32 = 6;
/// Rows in a band.
const BAND: u32 = 6;

/// The whole sequence, a line break included.
pub fn encode(picture: &RgbImage) -> String {
    let (width, height) = picture.dimensions();
    let indices = dithered(picture);
    let at = |x: u32, y: u32| indices[(y * width + x) as usize];
    let mut text = format!("\u{1b}P0;1;0q\"1;1;{width};{height}");
    for index in used(&indices) {
        let [r, g, b] = colour(index).map(|value| value * 100 / 255);
        let _ = write!(text, "#{index};2;{r};{g};{b}");
    }
    for top in (0..height).step_by(BAND as usize) {
        let rows = BAND.min(height - top);
        let of_band = &indices[(top * width) as usize..((top + rows) * width) as usize];
        for index in used(of_band) {
            let _ = write!(text, "#{index}");
            let mut run = (0_u8, 0_u32);
            for x in 0..width {
                let bits = (0..rows).fold(0, |bits, row| {
                    bits | u8::from(at(x, top + row) == index) << row
                });
                if run.1 > 0 && run.0 == bits {
                    run.1 += 1;
                } else {
                    push(&mut text, run);
                    run = (bits, 1);
                }
            }
            push(&mut text, run);
            text.push('$');
        }
        text.push('-');
    }
    text.push_str("\u{1b}\\\n");
    text
}

/// `count` times the same six pixels.
fn push(text: &mut String, (bits, count): (u8, u32)) {
    let sixel = char::from(b'?' + bits);
    match count {
        0 => {}
        1..=3 => (0..count).for_each(|_| text.push(sixel)),
        _ => {
            let _ = write!(text, "!{count}{sixel}");
        }
    }
}

fn colour(index: u8) -> [i32; 3] {
    let index = i32::from(index);
    [index / 36, index / 6 % 6, index % 6].map(|level| level * 255 / (LEVELS - 1))
}

fn used(indices: &[u8]) -> Vec<u8> {
    let mut seen = [false; 256];
    indices
        .iter()
        .for_each(|index| seen[usize::from(*index)] = true);
    (0..=255)
        .filter(|index| seen[usize::from(*index)])
        .collect()
}

/// The nearest colour of each pixel; what it is off by goes to the pixels beside and below (Floyd and Steinberg).
fn dithered(picture: &RgbImage) -> Vec<u8> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut left: Vec<[i32; 3]> = picture
        .pixels()
        .map(|pixel| pixel.0.map(i32::from))
        .collect();
    let mut indices = vec![0; left.len()];
    for y in 0..height {
        for x in 0..width {
            let wanted = left[y * width + x].map(|value| value.clamp(0, 255));
            let levels = wanted.map(|value| (value * (LEVELS - 1) + 127) / 255);
            let index = levels[0] * 36 + levels[1] * 6 + levels[2];
            indices[y * width + x] = index as u8;
            let got = colour(index as u8);
            let mut pass = |dx: isize, dy: usize, share: i32| {
                let (Some(x), y) = (x.checked_add_signed(dx), y + dy) else {
                    return;
                };
                if x < width && y < height {
                    let beside = &mut left[y * width + x];
                    for ((value, wanted), got) in beside.iter_mut().zip(wanted).zip(got) {
                        *value += (wanted - got) * share / 16;
                    }
                }
            };
            pass(1, 0, 7);
            pass(-1, 1, 3);
            pass(0, 1, 5);
            pass(1, 1, 1);
        }
    }
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the pixels of a sixel sequence back, as a terminal would.
    fn decode(text: &str, width: u32, height: u32) -> RgbImage {
        let inside = text
            .strip_prefix(&format!("\u{1b}P0;1;0q\"1;1;{width};{height}"))
            .unwrap();
        let inside = inside.strip_suffix("\u{1b}\\\n").unwrap();
        let mut picture = RgbImage::new(width, height);
        let (mut x, mut top, mut chosen, mut times) = (0, 0, 0_u8, 1);
        let mut rest = inside.chars().peekable();
        let number = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut value = 0;
            while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                value = value * 10 + digit;
                rest.next();
            }
            value
        };
        while let Some(c) = rest.next() {
            match c {
                '#' => {
                    chosen = number(&mut rest) as u8;
                    while rest.peek() == Some(&';') {
                        rest.next();
                        number(&mut rest);
                    }
                }
                '!' => times = number(&mut rest),
                '$' => x = 0,
                '-' => (x, top) = (0, top + BAND),
                sixel => {
                    let bits = sixel as u8 - b'?';
                    for _ in 0..times {
                        for row in (0..BAND).filter(|row| bits >> row & 1 == 1) {
                            picture.put_pixel(
                                x,
                                top + row,
                                image::Rgb(colour(chosen).map(|v| v as u8)),
                            );
                        }
                        x += 1;
                    }
                    times = 1;
                }
            }
        }
        picture
    }

    #[test]
    fn what_is_in_the_palette_comes_back_as_it_was() {
        let picture = RgbImage::from_fn(13, 8, |x, y| {
            image::Rgb([
                (x % 6 * 51) as u8,
                (y % 6 * 51) as u8,
                if x > 6 { 255 } else { 0 },
            ])
        });
        assert_eq!(decode(&encode(&picture), 13, 8), picture);
    }

    #[test]
    fn what_is_not_is_right_on_average() {
        let picture = RgbImage::from_pixel(60, 60, image::Rgb([120, 30, 200]));
        let shown = decode(&encode(&picture), 60, 60);
        for (channel, wanted) in [120_u32, 30, 200].into_iter().enumerate() {
            let sum: u32 = shown
                .pixels()
                .map(|pixel| u32::from(pixel.0[channel]))
                .sum();
            assert!(
                (sum / 3_600).abs_diff(wanted) < 8,
                "{channel}: {}",
                sum / 3_600
            );
        }
    }
}
