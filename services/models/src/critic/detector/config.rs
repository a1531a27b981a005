//! `detector/config.json`: what the network's outputs mean.

use serde::{Deserialize, Serialize};

use crate::props::vocabulary::{Background, Color, TimeOfDay};

/// Side of a cell of the grid in pixels.
const PIXELS: u32 = 32;
/// Most names of things.
const MAX_NAMES: usize = 4096;
/// Most channels of a layer.
const MAX_WIDTH: i64 = 1024;

/// What makes cells of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// Five halving convolutions and residual blocks: the critic.
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

/// The probability of an answer from what the network says of it: a logistic line, fitted on drawn pictures that it was not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// By how much the logit of the evidence is stretched.
    pub slope: f32,
    /// What is added to it.
    pub offset: f32,
}

impl Default for Line {
    /// Evidence as it is.
    fn default() -> Self {
        Self {
            slope: 1.0,
            offset: 0.0,
        }
    }
}

impl Line {
    /// Evidence so near to 0 or 1 is no surer than that.
    const LEAST: f32 = 1e-4;

    /// Logit of evidence in 0..1.
    pub fn logit(evidence: f32) -> f32 {
        let evidence = evidence.clamp(Self::LEAST, 1.0 - Self::LEAST);
        (evidence / (1.0 - evidence)).ln()
    }

    /// The probability that what is asked for is so, 0..1.
    pub fn likely(&self, evidence: f32) -> f32 {
        1.0 / (1.0 + (-(self.slope * Self::logit(evidence) + self.offset)).exp())
    }

    fn is_rising(&self) -> bool {
        (0.01..=100.0).contains(&self.slope) && (-100.0..=100.0).contains(&self.offset)
    }
}

/// How sure the critic's answers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// That a thing is there: of the probability of a thing times that of its name.
    pub presence: Line,
    /// That a thing has a colour: of the colour's probability.
    pub color: Line,
}

impl Calibration {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The network's shape and its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// Side of the input in pixels; the grid has a thirty-second of it.
    pub side: u32,
    /// What makes cells of pictures.
    #[serde(default, skip_serializing_if = "Backbone::is_default")]
    pub backbone: Backbone,
    /// Channels after each of the five halvings; of the separable backbone those of its four levels, the last one twice.
    pub widths: [i64; 5],
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
    /// How sure a critic's answers are.
    #[serde(default, skip_serializing_if = "Calibration::is_default")]
    pub calibration: Calibration,
}

impl DetectorConfig {
    /// The default model's detector for things of these names.
    pub fn mini(names: Vec<String>, own_colors: Vec<Vec<String>>) -> Self {
        Self {
            side: 256,
            backbone: Backbone::Halvings,
            widths: [16, 16, 32, 64, 144],
            names,
            own_colors,
            colors: Color::ALL.map(|color| color.name().to_owned()).to_vec(),
            backgrounds: Background::ALL
                .map(|background| background.name().to_owned())
                .to_vec(),
            times: TimeOfDay::ALL.map(|time| time.name().to_owned()).to_vec(),
            calibration: Calibration::default(),
        }
    }

    /// The judge's detector for things of these names.
    pub fn judge(names: Vec<String>, own_colors: Vec<Vec<String>>) -> Self {
        Self {
            backbone: Backbone::Separable,
            widths: [32, 48, 96, 160, 160],
            ..Self::mini(names, own_colors)
        }
    }

    /// Reads and checks the bytes of `config.json`; the error says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if !config.side.is_multiple_of(PIXELS) || !(64..=512).contains(&config.side) {
            return Err(format!(
                "side {} must be a multiple of {PIXELS} from 64 to 512",
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
        if config.backbone == Backbone::Separable && config.widths[3] != config.widths[4] {
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
        for (what, line) in [
            ("presence", &config.calibration.presence),
            ("color", &config.calibration.color),
        ] {
            if !line.is_rising() {
                return Err(format!(
                    "calibration.{what}: the slope must be within 0.01 to 100, the offset within -100 to 100"
                ));
            }
        }
        Ok(config)
    }

    /// Cells along a side of the grid.
    pub const fn grid(&self) -> i64 {
        (self.side / PIXELS) as i64
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
                widths: [16, 16, 32, 64, 1_000_000],
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
                ..config.clone()
            },
            // The surer the network, the less likely: no calibration.
            DetectorConfig {
                calibration: Calibration {
                    color: Line {
                        slope: -1.0,
                        offset: 0.0,
                    },
                    ..Calibration::default()
                },
                ..config
            },
        ] {
            assert!(
                DetectorConfig::parse(&serde_json::to_vec(&broken).expect("serialises")).is_err()
            );
        }
    }

    #[test]
    fn a_line_bends_evidence_and_keeps_its_order() {
        let plain = Line::default();
        assert!((plain.likely(0.3) - 0.3).abs() < 1e-5);
        let line = Line {
            slope: 0.8,
            offset: 1.5,
        };
        let likely = [0.0, 0.05, 0.3, 0.9, 1.0].map(|evidence| line.likely(evidence));
        assert!(likely.is_sorted() && likely.iter().all(|p| (0.0..=1.0).contains(p)));
        assert!(likely[2] > 0.6, "{likely:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_config(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = DetectorConfig::parse(&bytes);
        }
    }
}
