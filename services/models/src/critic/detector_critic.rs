//! The default model's critic: the small detector, with the prop library to tell which of its names a plan's noun means.

use std::{collections::HashSet, path::Path, sync::Arc};

use atelier_proto::{
    plan::{Element, Plan},
    review::Review,
};
use image::RgbImage;
use tch::Device;

use super::{
    detector::{Detector, DetectorError, Seen},
    review::{self, Words},
};
use crate::props::{
    PropLibrary,
    vocabulary::{Color, TimeOfDay},
};

/// Looks at pictures and answers plans' checks about them.
pub struct DetectorCritic {
    detector: Detector,
    props: Arc<PropLibrary>,
    names: HashSet<String>,
}

impl DetectorCritic {
    /// Loads the detector of a folder.
    pub fn load(
        dir: &Path,
        props: Arc<PropLibrary>,
        device: Device,
    ) -> Result<Self, DetectorError> {
        Ok(Self::of(Detector::load(dir, device)?, props))
    }

    /// A critic of a detector that is there already.
    pub fn of(detector: Detector, props: Arc<PropLibrary>) -> Self {
        let names = detector.config().names.iter().cloned().collect();
        Self {
            detector,
            props,
            names,
        }
    }

    /// What is in a picture.
    pub fn see(&self, picture: &RgbImage) -> Seen {
        self.detector.see(picture)
    }

    /// Whether things of this name have this colour as they come: a tomato is red.
    pub fn is_own_color(&self, name: &str, color: &str) -> bool {
        self.detector
            .own_colors(name)
            .iter()
            .any(|own| own == color)
    }

    /// Answers every check of the plan about a picture.
    pub fn review(&self, plan: &Plan, picture: &RgbImage) -> Review {
        let seen = self.see(picture);
        let known = |name: &str| self.names.contains(name).then(|| name.to_owned());
        // What the planner let stand for the noun, be it by its words or by what kind of thing it is.
        let drawn_as = |noun: &str| {
            let element = plan.elements.iter().find(|element| element.noun == noun)?;
            let reference = element.reference.as_deref()?;
            reference.strip_prefix("props/").and_then(known)
        };
        let name_of_noun = |noun: &str| {
            drawn_as(noun).or_else(|| {
                let prop = self.props.find(noun)?;
                known(&prop.name)
            })
        };
        // A user's own picture of a cat may look like no cat of ours: then only its place is judged.
        let name_of = |element: &Element| match element.reference.as_deref() {
            Some(reference) if reference.starts_with("refs/") => None,
            Some(reference) => reference
                .strip_prefix("props/")
                .and_then(known)
                .or_else(|| name_of_noun(&element.noun)),
            None => name_of_noun(&element.noun),
        };
        let words = Words {
            name_of: &name_of,
            name_of_noun: &name_of_noun,
            color_of: &|color| Color::find(color).map(|color| color.name().to_owned()),
            is_own_color: &|name, color| self.is_own_color(name, color),
            time_of: &|light| TimeOfDay::find(light).map(|time| time.name().to_owned()),
            time: (&seen.time.0, seen.time.1),
            calibration: self.detector.config().calibration,
        };
        review::review(plan, &seen.things, &words)
    }
}
