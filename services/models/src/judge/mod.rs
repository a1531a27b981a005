//! The judge: says of a picture whether it shows what a suite declares. It is no part of the farm: no worker loads it, and nothing that it says
//! reaches a plan, a repair or a choice. It has a network, a seed and training scenes of its own ([`crate::critic::detector::Backbone::Separable`]).

mod grade;
mod scene;

use std::path::Path;

use atelier_proto::judging::{About, Finding, KnownError, Truth};
use image::RgbImage;
use tch::Device;

use crate::{
    bounded,
    critic::detector::{Detector, DetectorError},
    props::{PropError, PropLibrary, vocabulary::Color},
};
pub use grade::{Names, grade, stands};

/// Folder of the judge in a model's.
pub const FOLDER: &str = "judge";
/// File with the judge's own errors, beside its weights.
pub const ERRORS: &str = "errors.json";
/// Largest file of errors, in bytes.
const MAX_ERRORS: u64 = 64 << 10;

/// Why a judge could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// Its detector.
    #[error("the judge's detector: {0}")]
    Detector(#[from] DetectorError),
    /// The names of things.
    #[error("the prop library: {0}")]
    Props(#[from] PropError),
    /// What it knows of its errors.
    #[error("{ERRORS}: {0}")]
    Errors(String),
}

/// A loaded judge.
pub struct Judge {
    detector: Detector,
    props: PropLibrary,
    errors: Vec<KnownError>,
}

impl Judge {
    /// Loads `judge/` and `props/` of a model's folder.
    pub fn load(model: &Path, device: Device) -> Result<Self, JudgeError> {
        let folder = model.join(FOLDER);
        Ok(Self {
            detector: Detector::load(&folder, device)?,
            props: PropLibrary::open(&model.join("props"))?,
            errors: errors(&folder)?,
        })
    }

    /// A judge of a detector that is there already.
    pub const fn of(detector: Detector, props: PropLibrary) -> Self {
        Self {
            detector,
            props,
            errors: Vec::new(),
        }
    }

    /// Who it is and how it errs.
    pub fn about(&self) -> About {
        About {
            judge: "detector with depthwise-separable backbone".into(),
            errors: self.errors.clone(),
        }
    }

    /// Nouns and colours of a truth that it has no name for: of these it can say nothing.
    pub fn unknown(&self, truth: &Truth) -> Vec<String> {
        let things = truth.things.iter().map(|wanted| &wanted.noun);
        let nouns = things.chain(truth.exclude.iter().map(|many| &many.noun));
        let strange = nouns.filter(|noun| self.name_of(noun).is_none());
        let colors = truth
            .things
            .iter()
            .filter_map(|wanted| wanted.color.as_ref());
        let odd = colors.filter(|color| Color::find(color).is_none());
        let mut unknown: Vec<String> = strange.chain(odd).cloned().collect();
        unknown.sort();
        unknown.dedup();
        unknown
    }

    /// Looks at a picture of any size. What [`Self::unknown`] names is taken as not there.
    pub fn grade(&self, truth: &Truth, picture: &RgbImage) -> Vec<Finding> {
        let seen = self.detector.see(picture);
        let mut findings = grade(truth, &seen.things, self);
        scene::grade(truth, &seen, &self.detector, picture, &mut findings);
        findings
    }
}

impl Names for Judge {
    fn name_of(&self, noun: &str) -> Option<String> {
        let names = &self.detector.config().names;
        let known = |name: &str| names.iter().find(|known| *known == name).cloned();
        known(noun).or_else(|| known(&self.props.find(noun)?.name))
    }

    fn is_own_color(&self, name: &str, color: &str) -> bool {
        self.detector
            .own_colors(name)
            .iter()
            .any(|own| own == color)
    }
}

fn errors(folder: &Path) -> Result<Vec<KnownError>, JudgeError> {
    let path = folder.join(ERRORS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes =
        bounded::read(&path, MAX_ERRORS).map_err(|error| JudgeError::Errors(error.to_string()))?;
    parse_errors(&bytes)
}

/// What a judge knows of its errors, from the bytes of their file.
pub fn parse_errors(bytes: &[u8]) -> Result<Vec<KnownError>, JudgeError> {
    serde_json::from_slice(bytes).map_err(|error| JudgeError::Errors(error.to_string()))
}
