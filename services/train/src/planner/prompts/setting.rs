//! Where and when: backgrounds and times as people say them.

use atelier_models::props::vocabulary::{Background, TimeOfDay};
use rand::{Rng, RngExt};

use super::things::pick;

/// A background with the words for it.
#[derive(Clone, Copy)]
pub struct Place {
    /// What the draft says.
    pub background: Background,
    /// After the things: `on the beach`.
    pub phrases: &'static [&'static str],
    /// Before `scene`, `landscape`: `beach`.
    pub scenes: &'static [&'static str],
    /// Behind the things: `with the ocean in the background`.
    pub behind: &'static [&'static str],
}

/// Every background.
pub const PLACES: [Place; 11] = [
    Place {
        background: Background::Grass,
        phrases: &[
            "on the grass", "in a meadow", "on a green field", "in a park", "on the lawn",
            "in the garden", "in a field", "on a farm", "on a hill", "in the countryside",
            "in the backyard", "in the grass", "on a grassy hill", "in a green meadow",
            "in a pasture", "in the park", "in a grassland", "in a field of flowers",
        ],
        scenes: &["meadow", "garden", "farm", "countryside", "park"],
        behind: &["green hills", "a meadow", "rolling hills", "a green field"],
    },
    Place {
        background: Background::Moon,
        phrases: &[
            "on the moon", "on the surface of the moon", "on the lunar surface",
            "on the moon's surface", "in a moon crater", "among lunar craters", "on the Moon",
            "standing on the moon", "walking on the moon",
        ],
        scenes: &["lunar", "moon"],
        behind: &["lunar craters", "the lunar surface"],
    },
    Place {
        background: Background::Beach,
        phrases: &[
            "on a beach", "on the beach", "at the beach", "at the seaside", "on the sand by the sea",
            "on a sandy beach", "by the shore", "on the shore", "on the coast", "on an island",
            "on a tropical island", "at the seashore", "on a sunny beach", "on a tropical beach",
        ],
        scenes: &["beach", "seaside", "tropical beach", "coastal"],
        behind: &["a beach", "the beach", "a sandy shore"],
    },
    Place {
        background: Background::Snow,
        phrases: &[
            "in the snow", "on a snow field", "in a winter landscape", "on the ice", "on a glacier",
            "in the arctic", "in a snowy landscape", "in Antarctica", "on a snowy field",
            "in deep snow", "on a ski slope", "in a snowstorm", "at the north pole", "in winter",
        ],
        scenes: &["snowy", "winter", "arctic", "snow"],
        behind: &["snow", "a snowy landscape", "ice and snow"],
    },
    Place {
        background: Background::Sea,
        phrases: &[
            "at sea", "on the water", "on the ocean", "in the sea", "in the ocean", "on a lake",
            "under water", "underwater", "on the open sea", "on the waves", "by the lake",
            "on a river", "in a pond", "in the water", "in the harbor", "by a river", "by the sea",
            "on the sea", "by the ocean",
        ],
        scenes: &["ocean", "underwater", "sea", "harbor"],
        behind: &["the ocean", "the sea", "the open water", "waves"],
    },
    Place {
        background: Background::City,
        phrases: &[
            "in a city", "in the city", "on a street", "downtown", "in a town", "on the road",
            "in the streets", "in a busy street", "in a village", "in New York", "in Tokyo",
            "on a city street", "in front of a city skyline", "between tall buildings",
            "at a market", "over a city", "above the city", "over the rooftops of a town",
            "in an alley", "on the sidewalk",
        ],
        scenes: &["city", "street", "urban", "downtown"],
        behind: &["a city skyline", "the city", "skyscrapers", "tall buildings", "a street"],
    },
    Place {
        background: Background::Room,
        phrases: &[
            "in a room", "indoors", "in the house", "in a living room", "in the kitchen",
            "in a bedroom", "inside", "on a table", "on the table", "on a wooden table",
            "on a desk", "on the floor", "in an office", "in a cafe", "in a bar", "in a classroom",
            "in a cozy room", "on a shelf", "on the kitchen table", "at home", "in a library",
            "in the living room", "in a studio", "inside a house", "on a wooden floor",
            "in a bathroom", "in a workshop", "in a restaurant", "in a museum",
        ],
        scenes: &["indoor", "kitchen", "living room", "office", "cafe"],
        behind: &["a living room", "a wall", "a kitchen"],
    },
    Place {
        background: Background::Plain,
        phrases: &[
            "on a plain background", "on a grey background", "on a simple background",
            "on a white background", "against a white background", "isolated on white",
            "against a plain background", "on a neutral background", "with a plain background",
            "in front of a plain background", "on a blank background", "with a white background",
            "against a gray background", "on a black background", "with no background",
        ],
        scenes: &["studio"],
        behind: &["nothing", "a plain backdrop"],
    },
    Place {
        background: Background::Desert,
        phrases: &[
            "in the desert", "among the dunes", "on sand dunes", "in a desert", "in the Sahara",
            "on Mars", "on a dune", "in a sandy desert", "in the middle of the desert",
            "in a dry desert", "on the red sand of Mars", "in a canyon", "in the wild west",
        ],
        scenes: &["desert", "martian", "dune"],
        behind: &["dunes", "sand dunes", "the desert"],
    },
    Place {
        background: Background::Forest,
        phrases: &[
            "in a forest", "in the woods", "in front of fir trees", "in the forest", "in a jungle",
            "among the trees", "in the jungle", "in a dark forest", "deep in the woods",
            "in a rainforest", "on a forest path", "between pine trees", "in an enchanted forest",
            "in a magical forest", "in the woodland", "at the edge of a forest",
        ],
        scenes: &["forest", "jungle", "woodland"],
        behind: &["a forest", "the woods", "trees", "fir trees"],
    },
    Place {
        background: Background::Space,
        phrases: &[
            "in outer space", "in space", "among the stars", "in orbit", "floating in space",
            "in a galaxy", "in the cosmos", "in deep space", "flying through space",
            "drifting through space", "in the universe", "in zero gravity",
        ],
        scenes: &["space", "galaxy", "cosmic"],
        behind: &["a galaxy", "outer space", "stars and galaxies"],
    },
];

const DAY: &[&str] = &[
    "by day", "in daylight", "in the sun", "on a sunny day", "at noon", "in the morning",
    "during the day", "on a bright day", "in bright sunlight", "in the afternoon",
    "under a blue sky", "under a clear blue sky", "in the daytime", "at midday",
    "on a sunny afternoon", "in broad daylight", "in sunlight", "on a summer day",
];

const DUSK: &[&str] = &[
    "at dusk", "at sunset", "in the evening", "at sunrise", "at dawn", "at twilight",
    "during sunset", "at golden hour", "in the evening light", "in warm evening light",
    "as the sun sets", "as the sun goes down", "under an orange sky", "during golden hour",
    "in the early morning light", "in the glow of the sunset", "under a red evening sky",
];

const NIGHT: &[&str] = &[
    "at night", "in the dark", "by night", "under the stars", "at midnight", "after dark",
    "under a starry sky", "in the moonlight", "by moonlight", "under the night sky",
    "on a dark night", "late at night", "in the middle of the night", "on a starry night",
    "under a starry night sky", "in cool tones at night", "during the night", "lit by the moon",
];

/// Nothing that a draft says.
const WEATHER: &[&str] = &[
    "in the rain", "in the fog", "in the mist", "on a windy day", "in a storm", "in autumn",
    "in spring", "in bad weather",
];

const CHANGES: &[&str] = &[
    "turning from day to night", "as day becomes night", "half by day and half by night",
    "transitioning from day to night", "day turning into night", "fading from day to night",
    "with a transition from day to night", "from night to day", "going from day into night",
];

/// The words for a time, before a noun too (`night scene`).
pub const TIME_SCENES: [(TimeOfDay, &[&str]); 3] = [
    (TimeOfDay::Day, &["sunny", "bright", "daytime", "sunlit"]),
    (TimeOfDay::Dusk, &["sunset", "evening", "twilight", "dusk"]),
    (TimeOfDay::Night, &["night", "nighttime", "moonlit", "midnight", "starry"]),
];

/// A time and its phrase; the draft's text is empty where the prompt does not say.
pub fn time(rng: &mut impl Rng) -> (&'static str, &'static str) {
    match rng.random_range(0..100) {
        0..=53 => ("", ""),
        54..=56 => ("", pick(WEATHER, rng)),
        57..=59 => ("", pick(CHANGES, rng)),
        60..=71 => (TimeOfDay::Day.name(), pick(DAY, rng)),
        72..=85 => (TimeOfDay::Dusk.name(), pick(DUSK, rng)),
        _ => (TimeOfDay::Night.name(), pick(NIGHT, rng)),
    }
}
