//! Which colours a thing has of its own: a tomato that nobody painted is red.

use atelier_models::props::vocabulary::Color;
use image::RgbaImage;

/// Share of a thing's visible pixels from which it has a colour.
const SHARE: f64 = 0.4;

/// The colours that make up most of a picture.
pub fn own_colors(picture: &RgbaImage) -> Vec<Color> {
    let visible: Vec<[u8; 3]> = picture
        .pixels()
        .filter(|pixel| pixel[3] > 128)
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    Color::ALL
        .into_iter()
        .filter(|color| {
            let share = visible
                .iter()
                .filter(|pixel| name(**pixel) == Some(*color))
                .count();
            share as f64 >= SHARE * visible.len().max(1) as f64
        })
        .collect()
}

/// What people call a pixel's colour; none for greys.
fn name(pixel: [u8; 3]) -> Option<Color> {
    let [r, g, b] = pixel.map(|channel| f32::from(channel) / 255.0);
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let spread = high - low;
    if high < 0.25 {
        return Some(Color::Black);
    }
    if spread < 0.15 * high {
        return (high > 0.82).then_some(Color::White);
    }
    let turn = if high == r {
        (g - b) / spread
    } else if high == g {
        2.0 + (b - r) / spread
    } else {
        4.0 + (r - g) / spread
    };
    let hue = (turn / 6.0).rem_euclid(1.0);
    Some(match hue {
        h if !(0.035..0.96).contains(&h) => Color::Red,
        h if h < 0.105 && high < 0.65 => Color::Brown,
        h if h < 0.105 => Color::Orange,
        h if h < 0.19 => Color::Yellow,
        h if h < 0.44 => Color::Green,
        h if h < 0.54 => Color::Cyan,
        h if h < 0.69 => Color::Blue,
        h if h < 0.82 => Color::Purple,
        _ => Color::Pink,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_pixels_have_plain_names() {
        assert_eq!(name([220, 30, 30]), Some(Color::Red));
        assert_eq!(name([250, 220, 40]), Some(Color::Yellow));
        assert_eq!(name([120, 70, 30]), Some(Color::Brown));
        assert_eq!(name([128, 128, 128]), None);
        assert_eq!(name([250, 250, 250]), Some(Color::White));
        assert_eq!(name([40, 90, 230]), Some(Color::Blue));
    }
}
