//! Coarse places that prompts name: thirds of the picture, and depth.

/// Words for the nine thirds, in rows from the top left.
pub const PLACES: [&str; 9] = [
    "top left",
    "top",
    "top right",
    "left",
    "center",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
];

/// Where a thing shall be, as far as the prompt says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Column of thirds: 0 left, 1 middle, 2 right.
    pub column: Option<u8>,
    /// Row of thirds: 0 top, 1 middle, 2 bottom.
    pub row: Option<u8>,
    /// In the background: small and high; in the foreground: large and low.
    pub depth: Option<Depth>,
}

/// How far from the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Far away.
    Background,
    /// Close by.
    Foreground,
}

impl Place {
    /// Reads words such as `top left`, `in the bottom right corner`, `middle`, `background`; unknown words say nothing.
    pub fn parse(text: &str) -> Self {
        let mut place = Self::default();
        let mut middle = false;
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            match word.to_ascii_lowercase().as_str() {
                "left" => place.column = Some(0),
                "right" => place.column = Some(2),
                "top" | "upper" | "above" => place.row = Some(0),
                "bottom" | "lower" | "below" => place.row = Some(2),
                "center" | "centre" | "middle" => middle = true,
                "background" | "distance" | "far" => place.depth = Some(Depth::Background),
                "foreground" | "front" => place.depth = Some(Depth::Foreground),
                _ => {}
            }
        }
        if middle {
            place.column = place.column.or(Some(1));
            place.row = place.row.or(Some(1));
        }
        place
    }

    /// Whether the words named a part of the picture.
    pub const fn is_somewhere(&self) -> bool {
        self.column.is_some() || self.row.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_thirds() {
        for (index, words) in PLACES.iter().enumerate() {
            let place = Place::parse(words);
            let (row, column) = ((index / 3) as u8, (index % 3) as u8);
            // One word leaves the other axis open, except for the centre.
            assert!(place.row.is_none_or(|found| found == row), "{words}");
            assert!(place.column.is_none_or(|found| found == column), "{words}");
            assert!(place.is_somewhere());
        }
        assert_eq!(
            Place::parse("in the lower right corner"),
            Place {
                column: Some(2),
                row: Some(2),
                depth: None
            }
        );
        assert_eq!(Place::parse("background").depth, Some(Depth::Background));
        assert_eq!(Place::parse("somewhere nice"), Place::default());
    }
}
