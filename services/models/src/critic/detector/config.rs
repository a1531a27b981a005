//! `detector/config.json`: what the network's outputs mean.

use serde::{Deserialize, Serialize};

use crate::props::vocabulary::{Background, Color, TimeOfDay};

/// Most names of things.
const MAX_NAMES: usize = 4096;
/// Most channels of a layer.
const MAX_WIDTH: i64 = 1024;

/// What makes cells of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// Four halving convolutions and residual blocks: the critic.
    #[default]
    Halvings,
    /// Patches and depthwise-separable blocks: the judge.
    Separable,
}

impl Backbone {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The network's shape and its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// Side of the input in pixels; the grid has a sixteenth of it.
    pub side: u32,
    /// What makes cells of pictures.
    #[serde(default, skip_serializing_if = "Backbone::is_default")]
    pub backbone: Backbone,
    /// Channels after each of the four halvings; of the separable backbone those of its three levels, the last one twice.
    pub widths: [i64; 4],
    /// Names of the things, one a class.
    pub names: Vec<String>,
    /// Colours that each thing has of its own, where it has a clear one; in the order of `names`.
    pub own_colors: Vec<Vec<String>>,
    /// Colours, one a class after the first, which is "as it comes".
    pub colors: Vec<String>,
    /// Backgrounds, one a class.
    pub backgrounds: Vec<String>,
    /// Times of day, one a class.
    pub times: Vec<String>,
}

impl DetectorConfig {
    /// The default model's detector for things of these names.
    pub fn mini(names: Vec<String>, own_colors: Vec<Vec<String>>) -> Self {
        Self {
            side: 128,
            backbone: Backbone::Halvings,
            widths: [16, 32, 64, 144],
            names,
            own_colors,
            colors: Color::ALL.map(|color| color.name().to_owned()).to_vec(),
            backgrounds: Background::ALL
                .map(|background| background.name().to_owned())
                .to_vec(),
            times: TimeOfDay::ALL.map(|time| time.name().to_owned()).to_vec(),
        }
    }

    /// The judge's detector for things of these names.
    pub fn judge(names: Vec<String>, own_colors: Vec<Vec<String>>) -> Self {
        Self {
            backbone: Backbone::Separable,
            widths: [48, 96, 160, 160],
            ..Self::mini(names, own_colors)
        }
    }

    /// Reads and checks the bytes of `config.json`; the error says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if !config.side.is_multiple_of(16) || !(64..=512).contains(&config.side) {
            return Err(format!(
                "side {} must be a multiple of 16 from 64 to 512",
                config.side
            ));
        }
        if config
            .widths
            .iter()
            .any(|width| *width < 8 || *width > MAX_WIDTH || width % 8 != 0)
        {
            return Err(format!(
                "widths {:?} must be multiples of 8 from 8 to {MAX_WIDTH}",
                config.widths
            ));
        }
        if config.backbone == Backbone::Separable && config.widths[2] != config.widths[3] {
            return Err("the last two widths of a separable backbone are one".into());
        }
        if config.names.is_empty() || config.names.len() > MAX_NAMES {
            return Err(format!(
                "{} names; 1 to {MAX_NAMES} are allowed",
                config.names.len()
            ));
        }
        if config.own_colors.len() != config.names.len() {
            return Err(format!(
                "own_colors has {} entries for {} names",
                config.own_colors.len(),
                config.names.len()
            ));
        }
        for (what, words) in [
            ("colors", &config.colors),
            ("backgrounds", &config.backgrounds),
            ("times", &config.times),
        ] {
            if words.is_empty() || words.len() > 64 {
                return Err(format!("{} {what}; 1 to 64 are allowed", words.len()));
            }
        }
        Ok(config)
    }

    /// Cells along a side of the grid.
    pub const fn grid(&self) -> i64 {
        self.side as i64 / 16
    }

    /// Channels of a cell: objectness, four distances, colours, things.
    pub fn cell_channels(&self) -> i64 {
        (1 + 4 + 1 + self.colors.len() + self.names.len()) as i64
    }

    /// First channel of the colours.
    pub const COLOR: i64 = 5;

    /// First channel of the things.
    pub fn name_channel(&self) -> i64 {
        Self::COLOR + 1 + self.colors.len() as i64
    }

    /// Outputs about the whole picture: backgrounds, then times.
    pub fn scene_channels(&self) -> i64 {
        (self.backgrounds.len() + self.times.len()) as i64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_wrong_shapes_are_refused() {
        let config = DetectorConfig::mini(vec!["cat".into()], vec![vec![]]);
        let bytes = serde_json::to_vec(&config).expect("serialises");
        assert_eq!(DetectorConfig::parse(&bytes), Ok(config.clone()));
        for broken in [
            DetectorConfig {
                side: 100,
                ..config.clone()
            },
            DetectorConfig {
                widths: [16, 32, 64, 1_000_000],
                ..config.clone()
            },
            DetectorConfig {
                names: vec![],
                ..config.clone()
            },
            DetectorConfig {
                own_colors: vec![],
                ..config.clone()
            },
            DetectorConfig {
                times: vec![],
                ..config
            },
        ] {
            assert!(
                DetectorConfig::parse(&serde_json::to_vec(&broken).expect("serialises")).is_err()
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_config(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = DetectorConfig::parse(&bytes);
        }
    }
}
