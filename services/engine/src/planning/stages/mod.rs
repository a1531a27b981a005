//! The stages of a plan: one picture, or the graph that a change of light or season, two scenes in one picture or a picture in a picture needs.
//!
//! `reading` says what the prompt asks for, `moments` knows times of day and seasons; here it becomes stages. Stages that read no other can be
//! drawn at once.

mod moments;
mod reading;
mod split;
#[cfg(test)]
mod tests;

use std::ops::Range;

use atelier_proto::plan::{BBox, Mask, Plan, Stage, StageOp};

use super::{caption::caption, elements::Group};
use moments::Moment;
pub use moments::{Kind, is_said_of_light, moment};
pub use reading::{Scenes, Span, scenes};
pub use split::LANDSCAPES;

/// How far the next version may go from the first: enough that night is dark on the ground too, too little to move things.
const RELIGHT: f32 = 0.9;

/// Half of the seam between scenes that are side by side, and of one across which a scene changes, in sides of the picture.
const HARD_SEAM: f32 = 0.02;
const SOFT_SEAM: f32 = 0.15;

/// Which of two scenes something is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The left or the upper one.
    First,
    /// The right or the lower one.
    Second,
}

impl Scenes {
    /// Whether the whole picture is in the plan's light.
    pub const fn have_one_light(&self) -> bool {
        matches!(self, Self::One | Self::Nested { .. })
    }

    /// The half that words of the prompt belong to.
    pub fn half_of(&self, words: &Range<usize>) -> Option<Half> {
        let Self::Split { first, second, .. } = self else {
            return None;
        };
        let within = |scene: &Span| scene.start <= words.start && words.end <= scene.end;
        match (within(first), within(second)) {
            (true, _) => Some(Half::First),
            (_, true) => Some(Half::Second),
            _ => None,
        }
    }
}

/// Longest piece of the prompt in a stage's words, in bytes.
const LONGEST: usize = 240;

impl Sketch<'_> {
    /// A piece of the prompt, cut where it is too long for a stage's words.
    fn words(&self, span: &Span) -> &str {
        let words = self.prompt.get(span.clone()).unwrap_or_default();
        &words[..words.floor_char_boundary(LONGEST)]
    }
}

/// What the stages are made from.
pub struct Sketch<'a> {
    pub prompt: &'a str,
    pub scenes: &'a Scenes,
    pub groups: &'a [Group],
    /// The half of each group, where the picture has two.
    pub halves: &'a [Option<Half>],
    /// Where what a thing shows is painted.
    pub inner: Option<BBox>,
}

/// Stages, and the words of the prompt that each of them comes from.
pub struct Staged {
    pub stages: Vec<Stage>,
    pub cited: Vec<(String, Span)>,
}

/// The stages that draw the plan.
pub fn stages(sketch: &Sketch<'_>, plan: &Plan) -> Staged {
    match sketch.scenes {
        Scenes::Changes { moments, hard } => changing(sketch, plan, moments, *hard),
        Scenes::BeforeAfter { said, event } => before_after(sketch, said, event.as_ref()),
        Scenes::Split {
            stacked,
            first,
            second,
        } => split(sketch, plan, *stacked, [first, second]),
        Scenes::Nested { frame, inner } => match sketch.inner {
            Some(bbox) => nested(sketch, frame, inner, bbox),
            None => one(),
        },
        Scenes::One => one(),
    }
}

fn one() -> Staged {
    Staged {
        stages: vec![generate("out", String::new())],
        cited: Vec::new(),
    }
}

fn generate(id: &str, caption: String) -> Stage {
    Stage {
        id: id.into(),
        op: StageOp::Generate { caption },
    }
}

fn edit(id: &str, input: &str, instruction: String) -> Stage {
    Stage {
        id: id.into(),
        op: StageOp::Edit {
            input: input.into(),
            instruction,
            strength: RELIGHT,
        },
    }
}

/// The stage that gives a picture of the plan another light, which keeps what is in it and where.
pub fn relit(id: &str, input: &str, instruction: &str) -> Stage {
    edit(id, input, instruction.to_owned())
}

/// What such a stage is told.
pub fn relighting(background: &str, light: &str) -> String {
    let when = moment(light).map_or_else(|| format!("in this light: {light}"), when);
    format!("the same scene {when}; background: {background}, light: {light}.")
}

/// The first stage up to `border` along the angle, the second behind it.
fn blend(id: &str, inputs: [&str; 2], angle: f32, border: f32, seam: f32) -> Stage {
    Stage {
        id: id.into(),
        op: StageOp::Blend {
            inputs: inputs.map(str::to_owned).to_vec(),
            mask: Mask::Linear {
                angle,
                from: (border - seam).max(0.0),
                to: (border + seam).min(1.0),
            },
        },
    }
}

/// One scene at several times: the brightest is drawn, since light is easier taken away than brought back; the others are made from it, and each
/// gets its part of the picture.
fn changing(sketch: &Sketch<'_>, plan: &Plan, moments: &[(Moment, Span)], hard: bool) -> Staged {
    let brightest = moments.iter().min_by_key(|(moment, _)| darkness(*moment));
    let (Some((first, _)), Some((drawn, _))) = (moments.first(), brightest) else {
        return one();
    };
    let (background, light) = scene_at(*drawn, plan);
    let mut stages = vec![generate(
        drawn.name,
        caption(sketch.groups, &background, &light),
    )];
    for (moment, _) in moments
        .iter()
        .filter(|(moment, _)| moment.name != drawn.name)
    {
        let (background, light) = scene_at(*moment, plan);
        let instruction = format!(
            "the same scene {}; background: {background}, light: {light}.",
            when(*moment)
        );
        stages.push(edit(moment.name, drawn.name, instruction));
    }
    let parts = moments.len() as f32;
    let seam = if hard {
        HARD_SEAM
    } else {
        SOFT_SEAM.min(0.4 / parts)
    };
    let mut left = first.name.to_owned();
    for (number, (moment, _)) in moments.iter().enumerate().skip(1) {
        let last = number + 1 == moments.len();
        let id = if last {
            "out".to_owned()
        } else {
            format!("to-{}", moment.name)
        };
        stages.push(blend(
            &id,
            [&left, moment.name],
            0.0,
            number as f32 / parts,
            seam,
        ));
        left = id;
    }
    let cited = moments.iter();
    Staged {
        stages,
        cited: cited
            .map(|(moment, span)| (moment.name.to_owned(), span.clone()))
            .collect(),
    }
}

/// How little light there is; seasons have as much as each other.
fn darkness(moment: Moment) -> u8 {
    match (moment.kind, moment.name) {
        (Kind::Season, _) | (Kind::Light, "day") => 0,
        (Kind::Light, "night") => 2,
        (Kind::Light, _) => 1,
    }
}

/// What is behind and the light of a moment.
fn scene_at(moment: Moment, plan: &Plan) -> (String, String) {
    match (moment.kind, moment.name) {
        (Kind::Light, name) => (plan.background.clone(), name.to_owned()),
        (Kind::Season, "winter") => {
            let background = format!("{} in winter, snow field", plan.background);
            (background, plan.lighting.clone())
        }
        (Kind::Season, name) => (
            format!("{} in {name}", plan.background),
            plan.lighting.clone(),
        ),
    }
}

fn when(moment: Moment) -> String {
    match moment.name {
        "day" => "by day".into(),
        "evening" | "morning" => format!("in the {}", moment.name),
        name if moment.kind == Kind::Season => format!("in {name}"),
        name => format!("at {name}"),
    }
}

fn before_after(sketch: &Sketch<'_>, said: &Span, event: Option<&Span>) -> Staged {
    let instruction = match event {
        Some(event) => format!("the same scene after {}", sketch.words(event)),
        None => "the same scene afterwards, changed".into(),
    };
    let mut cited = vec![("out".to_owned(), said.clone())];
    cited.extend(event.map(|event| ("after".to_owned(), event.clone())));
    Staged {
        stages: vec![
            generate("before", String::new()),
            edit("after", "before", instruction),
            blend("out", ["before", "after"], 0.0, 0.5, HARD_SEAM),
        ],
        cited,
    }
}

/// Two scenes that are drawn at once, each with its own things, ground and light.
fn split(sketch: &Sketch<'_>, plan: &Plan, stacked: bool, scenes: [&Span; 2]) -> Staged {
    let (names, angle) = match stacked {
        true => (["top", "bottom"], 90.0),
        false => (["left", "right"], 0.0),
    };
    let scene = |half: Half, span: &Span| {
        let there = sketch.groups.iter().zip(sketch.halves);
        let there: Vec<Group> = there
            .filter(|(_, other)| other.is_none_or(|other| other == half))
            .map(|(group, _)| group.clone())
            .collect();
        let words = sketch.words(span);
        let named = super::words::read(words)
            .into_iter()
            .filter_map(|word| moment(&word.text))
            .find(|moment| moment.kind == Kind::Light);
        let light = named.map_or(plan.lighting.as_str(), |moment| moment.name);
        caption(&there, words, light)
    };
    let [first, second] = names;
    Staged {
        stages: vec![
            generate(first, scene(Half::First, scenes[0])),
            generate(second, scene(Half::Second, scenes[1])),
            blend("out", names, angle, 0.5, HARD_SEAM),
        ],
        cited: names
            .into_iter()
            .zip(scenes)
            .map(|(name, span)| (name.to_owned(), span.clone()))
            .collect(),
    }
}

/// The scene, and then what one of its things shows, painted into it.
fn nested(sketch: &Sketch<'_>, frame: &Span, inner: &Span, bbox: BBox) -> Staged {
    let shown = sketch.words(inner);
    Staged {
        stages: vec![
            generate("scene", String::new()),
            Stage {
                id: "detail".into(),
                op: StageOp::Repair {
                    input: "scene".into(),
                    bbox,
                    instruction: format!("{}: {shown}", sketch.words(frame)),
                },
            },
        ],
        cited: vec![("detail".into(), inner.clone())],
    }
}
