//! How firmly things are tied to their boxes: tuned per checkpoint in `renderer.json`, since a finished one was not trained with the bias.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Arrangement, OUTSIDE};

/// How a plan's places reach the renderer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Every thing's text is tied to its box.
    #[default]
    Boxes,
    /// The plan is written out as a structured caption, and nothing is tied: the cheap arm.
    Caption,
}

/// The `regions` of `renderer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ties {
    /// How places reach the renderer.
    pub arm: Arm,
    /// What is taken from the logits between a thing and what is outside its box, 0 to 100.
    pub strength: f32,
    /// The steps with the bias, from and to, as shares of all of them: layout is decided in the first ones.
    pub steps: [f32; 2],
    /// The blocks that tie so firmly, from and to, as shares of all of them: hard binding in few of them costs the picture less.
    pub layers: [f32; 2],
    /// The strength in all other blocks, 0 to 100.
    pub soft: f32,
}

impl Ties {
    /// As the small checkpoint is trained, and the start for tuning others.
    pub const DEFAULT: Self = Self {
        arm: Arm::Boxes,
        strength: -OUTSIDE,
        steps: [0.0, 1.0],
        layers: [0.0, 1.0],
        soft: 0.0,
    };

    /// Whether a file need not say so.
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// What is wrong with them, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let rising = |[from, to]: [f32; 2]| 0.0 <= from && from < to && to <= 1.0;
        let bounded = |strength: f32| (0.0..=100.0).contains(&strength);
        if !bounded(self.strength) || !bounded(self.soft) {
            Some("the strengths of regions must be 0 to 100")
        } else if !rising(self.steps) || !rising(self.layers) {
            Some("the steps and the layers of regions must be two rising shares of 0 to 1")
        } else {
            None
        }
    }

    /// Whether step `done` of `total`, from 1, has the bias.
    pub fn holds_at(&self, done: u32, total: u32) -> bool {
        let at = (done.saturating_sub(1)) as f32 / total.max(1) as f32;
        (self.steps[0]..self.steps[1]).contains(&at)
    }

    /// Whether there are steps without the bias.
    pub fn lets_go(&self) -> bool {
        self.steps != Self::DEFAULT.steps
    }

    /// Whether there are blocks with another strength.
    pub fn softens(&self) -> bool {
        self.layers != Self::DEFAULT.layers && self.soft != self.strength
    }
}

impl Default for Ties {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Arrangement {
    /// The same with a bias of another strength.
    pub fn tied(self, strength: f32) -> Self {
        Self {
            bias: self.at(strength),
            ..self
        }
    }

    /// The bias at another strength; at 0 nothing is tied, and padding stays unseen.
    pub fn at(&self, strength: f32) -> Option<Tensor> {
        let bias = self.bias.as_ref();
        bias.map(|bias| with_outside(bias, -strength))
    }
}

/// The bias with another value where things end.
fn with_outside(bias: &Tensor, value: f32) -> Tensor {
    bias.masked_fill(&bias.eq(f64::from(OUTSIDE)), f64::from(value))
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::renderer::regions::{Grid, Layout, PADDING, Positions, ThingTokens};

    /// Two pictures, so that the smaller one is padded.
    fn arranged() -> Arrangement {
        let thing = ThingTokens {
            text: 1,
            bbox: Some([0.0, 0.0, 0.5, 1.0]),
            reference: None,
        };
        let with = |base| Layout {
            base,
            things: vec![thing],
        };
        let grid = Grid {
            rows: 2,
            columns: 2,
        };
        Positions::Family.arrange(grid, &[with(1), with(2)], Device::Cpu)
    }

    /// How many entries of the bias have a value.
    fn count(bias: &Tensor, value: f32) -> i64 {
        bias.eq(f64::from(value))
            .sum(tch::Kind::Int64)
            .int64_value(&[])
    }

    #[test]
    fn strength_changes_the_ties_and_nothing_else() {
        let usual = arranged().bias.unwrap();
        let (ties, padding) = (count(&usual, OUTSIDE), count(&usual, PADDING));
        assert!(ties > 0 && padding > 0);
        let firm = arranged().tied(30.0).bias.unwrap();
        assert_eq!((count(&firm, -30.0), count(&firm, OUTSIDE)), (ties, 0));
        assert_eq!(count(&firm, PADDING), padding);
        let loose = arranged().at(0.0).unwrap();
        assert_eq!(
            (count(&loose, OUTSIDE), count(&loose, PADDING)),
            (0, padding)
        );
        assert_eq!(count(&loose, 0.0), count(&usual, 0.0) + ties);
    }

    #[test]
    fn steps_and_layers_are_shares_and_wrong_values_are_refused() {
        let first_half = Ties {
            steps: [0.0, 0.5],
            ..Ties::DEFAULT
        };
        let tied: Vec<bool> = (1..=4).map(|done| first_half.holds_at(done, 4)).collect();
        assert_eq!(tied, [true, true, false, false]);
        assert!((1..=50).all(|done| Ties::DEFAULT.holds_at(done, 50)));
        assert!(first_half.lets_go() && !Ties::DEFAULT.lets_go());
        for (strength, steps) in [
            (-1.0, [0.0, 1.0]),
            (f32::NAN, [0.0, 1.0]),
            (8.0, [0.5, 0.5]),
            (8.0, [0.0, 1.5]),
            (8.0, [f32::NAN, 1.0]),
        ] {
            let wrong = Ties {
                strength,
                steps,
                ..Ties::DEFAULT
            };
            assert!(wrong.fault().is_some(), "{wrong:?}");
            let wrong = Ties {
                soft: strength,
                layers: steps,
                ..Ties::DEFAULT
            };
            assert!(wrong.fault().is_some(), "{wrong:?}");
        }
        let few = Ties {
            layers: [0.0, 0.25],
            ..Ties::DEFAULT
        };
        assert!(few.softens() && few.fault().is_none() && !Ties::DEFAULT.softens());
        let read: Ties = serde_json::from_str(r#"{"arm": "caption"}"#).unwrap();
        assert_eq!((read.arm, read.fault()), (Arm::Caption, None));
        assert!(serde_json::from_str::<Ties>(r#"{"layers": 3}"#).is_err());
    }
}
