//! The words of the default model's small world: places, times of day and colours, with the one phrase that the renderer was trained on most.
//!
//! The trainer composes with them, the planner names them, the critic answers in them.

/// Finds the entry whose words occur in `text` as whole words; the longest match wins.
fn find_in<T: Copy>(
    text: &str,
    entries: impl Iterator<Item = (T, &'static [&'static str])>,
) -> Option<T> {
    let plain: String = text
        .chars()
        .take(2_000)
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                ' '
            }
        })
        .collect();
    let padded = format!(
        " {} ",
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    entries
        .flat_map(|(entry, words)| words.iter().map(move |word| (entry, *word)))
        .filter(|(_, word)| padded.contains(&format!(" {word} ")))
        .max_by_key(|(_, word)| word.len())
        .map(|(entry, _)| entry)
}

/// What is behind everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Background {
    /// A meadow.
    Grass,
    /// The surface of the moon under a black sky.
    Moon,
    /// Sand with a strip of sea.
    Beach,
    /// A snow field.
    Snow,
    /// Open water.
    Sea,
    /// A row of houses over a street.
    City,
    /// A wall and a floor.
    Room,
    /// One flat tone.
    Plain,
    /// Dunes.
    Desert,
    /// A row of firs over a dark meadow.
    Forest,
    /// Stars everywhere, no ground.
    Space,
}

impl Background {
    /// Every background; the index is the class of the detector's head.
    pub const ALL: [Self; 11] = [
        Self::Grass,
        Self::Moon,
        Self::Beach,
        Self::Snow,
        Self::Sea,
        Self::City,
        Self::Room,
        Self::Plain,
        Self::Desert,
        Self::Forest,
        Self::Space,
    ];

    /// Name, as a plan's `background` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grass => "grass",
            Self::Moon => "moon surface",
            Self::Beach => "beach",
            Self::Snow => "snow",
            Self::Sea => "sea",
            Self::City => "city",
            Self::Room => "room",
            Self::Plain => "plain",
            Self::Desert => "desert",
            Self::Forest => "forest",
            Self::Space => "space",
        }
    }

    /// Phrases of a caption; the first is the canonical one.
    pub const fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::Grass => &[
                "on the grass",
                "in a meadow",
                "on a green field",
                "in a park",
            ],
            Self::Moon => &[
                "on the surface of the moon",
                "on the moon",
                "on the lunar surface",
            ],
            Self::Beach => &[
                "on a beach",
                "on the beach",
                "at the seaside",
                "on the sand by the sea",
            ],
            Self::Snow => &["in the snow", "on a snow field", "in a winter landscape"],
            Self::Sea => &["at sea", "on the water", "on the ocean", "in the sea"],
            Self::City => &["in a city", "in the city", "on a street", "downtown"],
            Self::Room => &["in a room", "indoors", "in the house", "in a living room"],
            Self::Plain => &[
                "on a plain background",
                "on a grey background",
                "on a simple background",
            ],
            Self::Desert => &["in the desert", "among the dunes", "on sand dunes"],
            Self::Forest => &["in a forest", "in the woods", "in front of fir trees"],
            Self::Space => &["in outer space", "in space", "among the stars"],
        }
    }

    /// Words that mean it, lower case.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Grass => &[
                "grass",
                "meadow",
                "field",
                "lawn",
                "park",
                "garden",
                "farm",
                "grassland",
                "pasture",
                "countryside",
                "hill",
                "yard",
                "nature",
                "outdoors",
            ],
            Self::Moon => &[
                "moon",
                "moon surface",
                "surface of the moon",
                "lunar",
                "lunar surface",
                "crater",
                "craters",
            ],
            Self::Beach => &["beach", "shore", "coast", "seaside", "seashore", "island"],
            Self::Snow => &[
                "snow",
                "snowy",
                "winter",
                "ice",
                "arctic",
                "antarctica",
                "ski slope",
                "snow field",
                "glacier",
            ],
            Self::Sea => &[
                "sea",
                "ocean",
                "water",
                "lake",
                "river",
                "at sea",
                "harbor",
                "underwater",
                "waves",
                "pond",
            ],
            Self::City => &[
                "city",
                "town",
                "street",
                "downtown",
                "urban",
                "skyline",
                "road",
                "village",
                "buildings",
                "market",
                "cityscape",
            ],
            Self::Room => &[
                "room",
                "indoors",
                "inside",
                "house",
                "kitchen",
                "bedroom",
                "living room",
                "office",
                "wall",
                "floor",
                "table",
                "studio",
                "classroom",
                "interior",
                "bar",
                "cafe",
            ],
            Self::Plain => &[
                "plain",
                "plain background",
                "white background",
                "grey background",
                "gray background",
                "blank",
                "neutral background",
                "simple background",
            ],
            Self::Desert => &["desert", "dune", "dunes", "sand dunes", "sahara", "mars"],
            Self::Forest => &["forest", "woods", "jungle", "wood", "fir trees", "woodland"],
            Self::Space => &[
                "space",
                "outer space",
                "stars",
                "galaxy",
                "orbit",
                "cosmos",
                "starry sky",
                "universe",
            ],
        }
    }

    /// The background that a text names, if any.
    pub fn find(text: &str) -> Option<Self> {
        find_in(
            text,
            Self::ALL.into_iter().map(|entry| (entry, entry.words())),
        )
    }
}

/// When it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeOfDay {
    /// Bright.
    Day,
    /// Warm and low light.
    Dusk,
    /// Dark and blue.
    Night,
}

impl TimeOfDay {
    /// Every time; the index is the class of the detector's head.
    pub const ALL: [Self; 3] = [Self::Day, Self::Dusk, Self::Night];

    /// Name, as a plan's `lighting` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Dusk => "dusk",
            Self::Night => "night",
        }
    }

    /// Phrases of a caption; the first is the canonical one.
    pub const fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::Day => &["by day", "in daylight", "in the sun"],
            Self::Dusk => &["at dusk", "at sunset", "in the evening"],
            Self::Night => &["at night", "in the dark", "by night"],
        }
    }

    /// Words that mean it, lower case.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Day => &[
                "day",
                "daylight",
                "noon",
                "morning",
                "sunny",
                "daytime",
                "bright",
                "afternoon",
                "sunlight",
            ],
            Self::Dusk => &[
                "dusk",
                "sunset",
                "sunrise",
                "dawn",
                "evening",
                "twilight",
                "golden hour",
                "warm light",
            ],
            Self::Night => &[
                "night",
                "midnight",
                "nighttime",
                "moonlight",
                "dark",
                "starry",
                "moonlit",
                "cool tones",
            ],
        }
    }

    /// The time that a text names, if any.
    pub fn find(text: &str) -> Option<Self> {
        find_in(
            text,
            Self::ALL.into_iter().map(|entry| (entry, entry.words())),
        )
    }
}

/// Colours that things can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Color {
    /// Hue 0.
    Red,
    /// Hue 0.07.
    Orange,
    /// Hue 0.15.
    Yellow,
    /// Hue 0.33.
    Green,
    /// Hue 0.5.
    Cyan,
    /// Hue 0.61.
    Blue,
    /// Hue 0.76.
    Purple,
    /// Hue 0.9.
    Pink,
    /// Dark orange.
    Brown,
    /// Dark, hardly any hue.
    Black,
    /// Bright, hardly any hue.
    White,
}

impl Color {
    /// Every colour; the index + 1 is the class of the detector's head (0 = as the thing comes).
    pub const ALL: [Self; 11] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Cyan,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
        Self::Black,
        Self::White,
    ];

    /// Name in captions, plans and reviews.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Cyan => "cyan",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
            Self::Black => "black",
            Self::White => "white",
        }
    }

    /// Words that mean it, lower case.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Red => &["red", "crimson", "scarlet", "ruby"],
            Self::Orange => &["orange", "ginger", "amber"],
            Self::Yellow => &["yellow", "golden", "gold", "blond", "blonde"],
            Self::Green => &["green", "emerald", "lime", "olive"],
            Self::Cyan => &["cyan", "turquoise", "teal", "aqua"],
            Self::Blue => &["blue", "navy", "azure", "indigo"],
            Self::Purple => &["purple", "violet", "lilac", "lavender"],
            Self::Pink => &["pink", "magenta", "rose", "fuchsia"],
            Self::Brown => &["brown", "tan", "chestnut", "beige", "bronze"],
            Self::Black => &["black", "ebony"],
            Self::White => &["white", "ivory", "pale", "silver"],
        }
    }

    /// The colour that a text names, if any.
    pub fn find(text: &str) -> Option<Self> {
        find_in(
            text,
            Self::ALL.into_iter().map(|entry| (entry, entry.words())),
        )
    }

    /// How a pixel of value `v` (0..1) and saturation `s` (0..1) looks in this colour: RGB in 0..1.
    ///
    /// Linear in `v` for a given alpha, so that it holds for premultiplied pixels too: then `a` is the pixel's alpha (1 for straight ones).
    pub fn tint(self, v: f32, s: f32, a: f32) -> [f32; 3] {
        let vivid = (s * 0.5 + 0.43).min(1.0);
        let (pure, s, v) = match self {
            Self::Red => ([1.0, 0.0, 0.0], vivid, v),
            Self::Orange => ([1.0, 0.42, 0.0], vivid, v),
            Self::Yellow => ([1.0, 0.9, 0.0], vivid, v),
            Self::Green => ([0.0, 1.0, 0.0], vivid, v),
            Self::Cyan => ([0.0, 1.0, 1.0], vivid, v),
            Self::Blue => ([0.0, 0.34, 1.0], vivid, v),
            Self::Purple => ([0.56, 0.0, 1.0], vivid, v),
            Self::Pink => ([1.0, 0.0, 0.6], vivid * 0.75, v),
            Self::Brown => ([1.0, 0.42, 0.0], vivid, v * 0.55),
            Self::Black => ([1.0, 0.9, 0.8], s * 0.1, v * 0.3),
            Self::White => ([1.0, 0.9, 0.8], s * 0.08, a * 0.5 + v * 0.5),
        };
        pure.map(|channel: f32| v * (1.0 - s * (1.0 - channel)))
    }

    /// How a pixel of the colours `own` (0..1, as many times its alpha as `a` says) looks in this colour.
    pub fn paint(self, own: [f32; 3], a: f32) -> [f32; 3] {
        let (high, low) = (
            own[0].max(own[1]).max(own[2]),
            own[0].min(own[1]).min(own[2]),
        );
        let saturation = if high > 0.0 { (high - low) / high } else { 0.0 };
        self.tint(high, saturation, a)
    }
}

/// The canonical caption of what is behind the things: `on the surface of the moon at night`.
pub fn base_phrase(background: Background, time: TimeOfDay) -> String {
    format!("{} {}", background.phrases()[0], time.phrases()[0])
}

/// `a red cat`, `an owl`, `red grapes`: a thing in a caption. `article` is false for what is several or a substance.
pub fn thing_phrase(name: &str, color: Option<Color>, article: bool) -> String {
    let words = color.map_or_else(
        || name.to_owned(),
        |color| format!("{} {name}", color.name()),
    );
    if !article {
        return words;
    }
    let vowel = words
        .chars()
        .next()
        .is_some_and(|c| "aeiouAEIOU".contains(c))
        && !words.starts_with("uni")
        && !words.starts_with("ufo");
    format!("{} {words}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_backgrounds_times_and_colors() {
        assert_eq!(
            Background::find("moon surface under a black sky"),
            Some(Background::Moon)
        );
        assert_eq!(Background::find("a Living-Room"), Some(Background::Room));
        assert_eq!(Background::find("seasonal"), None);
        assert_eq!(
            TimeOfDay::find("the same city at night"),
            Some(TimeOfDay::Night)
        );
        assert_eq!(Color::find("dark red"), Some(Color::Red));
        assert_eq!(Color::find("turquoise"), Some(Color::Cyan));
        for background in Background::ALL {
            assert_eq!(Background::find(background.name()), Some(background));
            assert_eq!(Background::find(background.phrases()[0]), Some(background));
        }
        for time in TimeOfDay::ALL {
            assert_eq!(TimeOfDay::find(time.phrases()[0]), Some(time));
        }
    }

    #[test]
    fn things_read_as_english() {
        assert_eq!(thing_phrase("cat", Some(Color::Red), true), "a red cat");
        assert_eq!(thing_phrase("owl", None, true), "an owl");
        assert_eq!(
            thing_phrase("owl", Some(Color::Orange), true),
            "an orange owl"
        );
        assert_eq!(thing_phrase("unicorn", None, true), "a unicorn");
        assert_eq!(thing_phrase("grapes", None, false), "grapes");
        assert_eq!(
            base_phrase(Background::Moon, TimeOfDay::Night),
            "on the surface of the moon at night"
        );
    }
}
