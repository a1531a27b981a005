//! How well a detector does on scenes that it never saw.

use atelier_models::{
    critic::detector::{Detection, Seen},
    props::vocabulary::Color,
};
use atelier_proto::plan::BBox;
use image::{Rgb, RgbImage};

use super::sample::Sample;
use crate::composer::SIDE;

/// Objectness from which a thing counts as found.
const FOUND: f32 = 0.5;

/// Counts over pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pictures: u32,
    wanted: u32,
    found: u32,
    hit: u32,
    named: u32,
    among_first: u32,
    colored: u32,
    background: u32,
    time: u32,
}

impl Score {
    /// Adds one picture.
    pub fn add(&mut self, sample: &Sample, seen: &Seen, names: &[String]) {
        self.pictures += 1;
        self.wanted += sample.things.len() as u32;
        self.background += u32::from(seen.background.0 == sample.background.name());
        self.time += u32::from(seen.time.0 == sample.time.name());
        let found: Vec<&Detection> = seen
            .things
            .iter()
            .filter(|thing| thing.score >= FOUND)
            .collect();
        self.found += found.len() as u32;
        for (truth, thing) in pairs(sample, &found) {
            let truth = &sample.things[truth];
            let name = &names[truth.name];
            self.hit += 1;
            self.named += u32::from(thing.name == *name);
            self.among_first += u32::from(thing.likelihood(name) > 0.0);
            self.colored += u32::from(thing.color.as_deref() == truth.color.map(Color::name));
        }
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |part: u32, whole: u32| 100.0 * f64::from(part) / f64::from(whole.max(1));
        write!(
            f,
            "{} pictures, {} things: recall {:.1} %, precision {:.1} %; of those found: name {:.1} % (among those kept {:.1} %), colour {:.1} %; background {:.1} %, time {:.1} %",
            self.pictures,
            self.wanted,
            share(self.hit, self.wanted),
            share(self.hit, self.found),
            share(self.named, self.hit),
            share(self.among_first, self.hit),
            share(self.colored, self.hit),
            share(self.background, self.pictures),
            share(self.time, self.pictures),
        )
    }
}

/// Pairs of a wanted and a found thing that overlap by half or more, each at most once, the surest first.
fn pairs<'a>(sample: &Sample, found: &[&'a Detection]) -> Vec<(usize, &'a Detection)> {
    let mut taken = vec![false; sample.things.len()];
    let mut pairs = Vec::new();
    for thing in found {
        let overlap = |index: &usize| BBox(sample.things[*index].bbox).iou(&thing.place());
        let best = (0..sample.things.len())
            .filter(|index| !taken[*index])
            .max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
        if let Some(index) = best.filter(|index| overlap(index) >= 0.5) {
            taken[index] = true;
            pairs.push((index, *thing));
        }
    }
    pairs
}

/// The picture with a frame around every found thing: green where the name is right, red where not.
pub fn framed(sample: &Sample, seen: &Seen, names: &[String]) -> RgbImage {
    let mut picture = sample.picture.clone();
    let found: Vec<&Detection> = seen
        .things
        .iter()
        .filter(|thing| thing.score >= FOUND)
        .collect();
    let right: Vec<&Detection> = pairs(sample, &found)
        .into_iter()
        .filter(|(truth, thing)| names[sample.things[*truth].name] == thing.name)
        .map(|(_, thing)| thing)
        .collect();
    for thing in found {
        let color = if right.iter().any(|known| std::ptr::eq(*known, thing)) {
            Rgb([60, 255, 60])
        } else {
            Rgb([255, 40, 40])
        };
        let last = SIDE - 1;
        let [x0, y0, x1, y1] = thing
            .bbox
            .map(|edge| ((edge * last as f32) as u32).min(last));
        for x in x0..=x1 {
            picture.put_pixel(x, y0, color);
            picture.put_pixel(x, y1, color);
        }
        for y in y0..=y1 {
            picture.put_pixel(x0, y, color);
            picture.put_pixel(x1, y, color);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use atelier_models::props::vocabulary::{Background, TimeOfDay};

    use super::{super::sample::Truth, *};

    #[test]
    fn hits_names_and_colors_are_counted() {
        let names = ["cat".to_owned(), "dog".to_owned()];
        let truth = |name, bbox| Truth {
            name,
            color: None,
            bbox,
        };
        let sample = Sample {
            picture: RgbImage::new(SIDE, SIDE),
            things: vec![
                truth(0, [0.0, 0.0, 0.5, 0.5]),
                truth(1, [0.5, 0.5, 1.0, 1.0]),
            ],
            background: Background::Sea,
            time: TimeOfDay::Day,
        };
        let thing = |name: &str, bbox| Detection {
            name: name.into(),
            score: 0.9,
            names: vec![(name.into(), 0.9)],
            color: None,
            color_score: 0.9,
            colors: vec![],
            bbox,
        };
        let seen = Seen {
            things: vec![
                thing("cat", [0.0, 0.0, 0.5, 0.45]),
                thing("cat", [0.5, 0.5, 1.0, 1.0]),
                thing("dog", [0.0, 0.6, 0.2, 0.8]),
            ],
            background: ("sea".into(), 0.9),
            time: ("night".into(), 0.9),
        };
        let mut score = Score::default();
        score.add(&sample, &seen, &names);
        assert_eq!(
            score,
            Score {
                pictures: 1,
                wanted: 2,
                found: 3,
                hit: 2,
                named: 1,
                among_first: 1,
                colored: 2,
                background: 1,
                time: 0
            }
        );
        assert_eq!(framed(&sample, &seen, &names).dimensions(), (SIDE, SIDE));
    }
}
