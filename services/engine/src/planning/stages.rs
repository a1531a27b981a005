//! The stages of a plan: one picture, or a day version, a night version and a blend where the prompt asks for the change.

use atelier_proto::plan::{Mask, Plan, Stage, StageOp};

/// How far the second version may go from the first: enough to change the light, too little to move things.
const RELIGHT: f32 = 0.75;

/// Whether the prompt asks for day and night in one picture.
pub fn is_transition(prompt: &str) -> bool {
    let words: Vec<String> = prompt
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let at = |wanted: &[&str]| {
        words
            .iter()
            .position(|word| wanted.contains(&word.as_str()))
    };
    let (Some(day), Some(night)) = (
        at(&["day", "daylight", "daytime"]),
        at(&["night", "nighttime"]),
    ) else {
        return false;
    };
    let joined = &words[day.min(night)..=day.max(night)];
    let turns = [
        "to",
        "into",
        "turning",
        "turns",
        "fading",
        "fades",
        "becoming",
        "becomes",
        "blending",
        "transition",
    ];
    let halves = words.iter().filter(|word| *word == "half").count() >= 2;
    halves
        || joined.iter().any(|word| turns.contains(&word.as_str()))
        || at(&["transition"]).is_some()
}

/// The stages that draw the plan.
pub fn stages(prompt: &str, plan: &Plan) -> Vec<Stage> {
    let generate = |id: &str| Stage {
        id: id.into(),
        op: StageOp::Generate {
            caption: String::new(),
        },
    };
    if !is_transition(prompt) {
        return vec![generate("out")];
    }
    let (first, second) = if starts_with_night(prompt) {
        ("night", "day")
    } else {
        ("day", "night")
    };
    let light = |time: &str| format!("light: {time}");
    let caption = |time: &str| plan.caption.replace(&light(&plan.lighting), &light(time));
    vec![
        Stage {
            id: first.into(),
            op: StageOp::Generate {
                caption: caption(first),
            },
        },
        Stage {
            id: second.into(),
            op: StageOp::Edit {
                input: first.into(),
                instruction: format!("the same scene by {second}"),
                strength: RELIGHT,
            },
        },
        Stage {
            id: "out".into(),
            op: StageOp::Blend {
                inputs: vec![first.into(), second.into()],
                mask: Mask::Linear {
                    angle: 0.0,
                    from: 0.35,
                    to: 0.65,
                },
            },
        },
    ]
}

fn starts_with_night(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    match (prompt.find("day"), prompt.find("night")) {
        (Some(day), Some(night)) => night < day,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_are_told_from_mere_mentions() {
        for prompt in [
            "a castle, day turning into night",
            "half day, half night over a city",
            "a transition from day to night at the beach",
            "night fading to day behind a tree",
        ] {
            assert!(is_transition(prompt), "{prompt}");
        }
        for prompt in [
            "a castle at night",
            "a sunny day",
            "a day lamp and a night owl",
        ] {
            assert!(!is_transition(prompt), "{prompt}");
        }
    }
}
