use super::*;

/// What a prompt is read as, in one word and its parts.
fn read(prompt: &str) -> String {
    match scenes(prompt) {
        Scenes::One => "one".into(),
        Scenes::Changes { moments, hard } => {
            let names: Vec<&str> = moments.iter().map(|(moment, _)| moment.name).collect();
            let border = if hard { " | " } else { " > " };
            names.join(border)
        }
        Scenes::BeforeAfter { event, .. } => {
            let event = event.map_or("", |event| &prompt[event]);
            format!("before after {event}").trim().to_owned()
        }
        Scenes::Split {
            stacked,
            first,
            second,
        } => {
            let border = if stacked { "over" } else { "beside" };
            format!("{} {border} {}", &prompt[first], &prompt[second])
        }
        Scenes::Nested { frame, inner } => format!("{} in {}", &prompt[inner], &prompt[frame]),
    }
}

const SEVERAL: [(&str, &str); 54] = [
    // Light.
    ("a cityscape transitioning from day to night", "day > night"),
    ("a castle, day turning into night", "day > night"),
    ("half day, half night over a city", "day | night"),
    ("a transition from day to night at the beach", "day > night"),
    ("night fading to day behind a tree", "night > day"),
    ("day-to-night timelapse of a harbor", "day > night"),
    ("a lighthouse as day becomes night", "day > night"),
    ("a windmill as day gives way to night", "day > night"),
    ("a fox, dusk slipping into night", "dusk > night"),
    ("a village, sunset blending into night", "sunset > night"),
    ("a mountain from dawn to dusk", "dawn > dusk"),
    (
        "a street changing from morning to evening",
        "morning > evening",
    ),
    (
        "a lake from sunrise through noon to sunset",
        "sunrise > day > sunset",
    ),
    ("the same house in daylight versus night", "day > night"),
    ("a park, day/night", "day > night"),
    ("an island, day \u{2192} night", "day > night"),
    (
        "a bridge with the gradient between day and night",
        "day > night",
    ),
    ("a day and night transition over a forest", "day > night"),
    (
        "a house, day on the left and night on the right",
        "day | night",
    ),
    (
        "a house, night on the left side, day on the right side",
        "night | day",
    ),
    (
        "a house, day on the right and night on the left",
        "night | day",
    ),
    (
        "a tower with one half in day and the other half at night",
        "day | night",
    ),
    (
        "a farm where daylight slowly melts into twilight",
        "day > dusk",
    ),
    (
        "a desert at dusk fading into a starry night",
        "dusk > night",
    ),
    (
        "a split between day and night above a red car",
        "day | night",
    ),
    ("left half day, right half night, a big tree", "day | night"),
    // Seasons.
    ("a tree changing from summer to autumn", "summer > autumn"),
    ("a tree, summer turning into winter", "summer > winter"),
    (
        "a tree through the seasons: spring, summer, autumn and winter",
        "spring > summer > autumn > winter",
    ),
    (
        "a tree in all four seasons",
        "spring > summer > autumn > winter",
    ),
    (
        "a cottage across the four seasons",
        "spring > summer > autumn > winter",
    ),
    ("a meadow as winter becomes spring", "winter > spring"),
    (
        "half summer, half winter landscape with a deer",
        "summer | winter",
    ),
    ("a forest from fall to winter", "autumn > winter"),
    (
        "a river, spring blending into lush summer",
        "spring > summer",
    ),
    // Before and after.
    (
        "an old house before and after renovation",
        "before after renovation",
    ),
    (
        "a beach before and after the storm",
        "before after the storm",
    ),
    ("before/after of a messy room", "before after"),
    (
        "a garden before and after the rain, with a cat",
        "before after the rain",
    ),
    (
        "a city before vs after an earthquake",
        "before after an earthquake",
    ),
    // Two scenes.
    (
        "left half a sunny beach, right half a snowy forest",
        "a sunny beach beside a snowy forest",
    ),
    (
        "the left half shows a city and the right half shows a desert",
        "a city beside a desert",
    ),
    (
        "a beach in the left half and a forest in the right half",
        "a beach beside a forest",
    ),
    (
        "right half a forest, left half a beach",
        "a beach beside a forest",
    ),
    (
        "top half a blue sky with birds, bottom half a deep ocean with a whale",
        "a blue sky with birds over a deep ocean with a whale",
    ),
    ("upper half the moon, lower half the sea", "moon over sea"),
    (
        "split screen of a beach and a forest",
        "a beach beside a forest",
    ),
    (
        "diptych: a cat in a city | a dog on a farm",
        "a cat in a city beside a dog on a farm",
    ),
    (
        "a picture split into a desert and an ocean",
        "a desert beside an ocean",
    ),
    ("half desert, half ocean", "desert beside ocean"),
    (
        "half snowy mountain and half tropical beach, a bear",
        "snowy mountain beside tropical beach",
    ),
    // A picture in a picture.
    (
        "a living room with a painting of a ship on the wall",
        "a ship in painting",
    ),
    ("a tv showing a cat", "a cat in tv"),
    ("a robot holding a photo of a dog", "a dog in photo"),
];

const ONE: [&str; 36] = [
    "a castle at night",
    "a sunny day",
    "a day lamp and a night owl",
    "a shop open from morning to night",
    "a cat on the left and a dog on the right",
    "a cat on the left side and a dog on the right side",
    "half robot, half cat",
    "a half moon and half an apple",
    "a painting of a cat",
    "a photo of a dog on the beach",
    "an oil painting of a ship at sea",
    "a portrait of a woman",
    "a poster with a red car",
    "the day after tomorrow",
    "a cat before a mirror",
    "a street after the rain",
    "a house before sunrise",
    "a summer dress and winter boots",
    "a spring with clear water",
    "a waterfall in the fall",
    "water falling into a pond",
    "a turning windmill by day",
    "a bird flying to the moon at night",
    "day by day a flower grows",
    "a knight riding into the night",
    "a night to remember the day we met",
    "the four seasons hotel",
    "a banana split",
    "a cat with split ends",
    "a television on a table",
    "a phone next to a cup",
    "a laptop and a monitor",
    "top hat on a bottom shelf",
    "a left shoe and a right shoe",
    "a summer day and a cat",
    "an apple cut into two halves",
];

#[test]
fn changes_and_several_scenes_are_read() {
    let wrong: Vec<(&str, String, &str)> = SEVERAL
        .into_iter()
        .map(|(prompt, wanted)| (prompt, read(prompt), wanted))
        .filter(|(_, found, wanted)| found != wanted)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn mere_mentions_are_one_scene() {
    for prompt in ONE {
        assert_eq!(read(prompt), "one", "{prompt}");
    }
}

fn staged(prompt: &str) -> Plan {
    let scenes = scenes(prompt);
    let sketch = Sketch {
        prompt,
        scenes: &scenes,
        groups: &[],
        halves: &[],
        inner: Some(BBox([0.25, 0.25, 0.5, 0.5])),
    };
    let mut plan = Plan::direct(prompt);
    plan.background = "city".into();
    plan.lighting = "day".into();
    plan.stages = stages(&sketch, &plan).stages;
    assert_eq!(plan.validate(), Ok(()), "{prompt}");
    plan
}

fn graph(plan: &Plan) -> Vec<(&str, &str, Vec<&str>)> {
    let stages = plan.stages.iter();
    stages
        .map(|stage| (stage.id.as_str(), stage.op.name(), stage.op.inputs()))
        .collect()
}

#[test]
fn every_reading_makes_valid_stages() {
    for (prompt, _) in SEVERAL {
        let plan = staged(prompt);
        assert!(plan.stages.len() <= 8, "{prompt}");
    }
}

#[test]
fn a_change_of_light_is_drawn_once_and_changed() {
    let plan = staged("a cityscape transitioning from day to night");
    assert_eq!(
        graph(&plan),
        [
            ("day", "generate", vec![]),
            ("night", "edit", vec!["day"]),
            ("out", "blend", vec!["day", "night"])
        ]
    );
    let StageOp::Edit { instruction, .. } = &plan.stages[1].op else {
        panic!("{plan:?}")
    };
    assert!(
        instruction.starts_with("the same scene at night"),
        "{instruction}"
    );
    let seasons = staged("a tree in all four seasons");
    assert_eq!(seasons.stages.len(), 7);
    let borders: Vec<f32> = seasons
        .stages
        .iter()
        .filter_map(|stage| match &stage.op {
            StageOp::Blend {
                mask: Mask::Linear { from, to, .. },
                ..
            } => Some((from + to) / 2.0),
            _ => None,
        })
        .collect();
    assert_eq!(borders, [0.25, 0.5, 0.75]);
}

#[test]
fn the_brightest_moment_is_drawn_wherever_it_stands() {
    let plan = staged("a cityscape from night to day");
    assert_eq!(
        graph(&plan),
        [
            ("day", "generate", vec![]),
            ("night", "edit", vec!["day"]),
            ("out", "blend", vec!["night", "day"])
        ]
    );
    let plan = staged("a lake from sunrise through noon to sunset");
    assert_eq!(
        graph(&plan),
        [
            ("day", "generate", vec![]),
            ("sunrise", "edit", vec!["day"]),
            ("sunset", "edit", vec!["day"]),
            ("to-day", "blend", vec!["sunrise", "day"]),
            ("out", "blend", vec!["to-day", "sunset"])
        ]
    );
}

#[test]
fn two_scenes_are_independent() {
    let plan = staged("left half a sunny beach, right half a snowy forest at night");
    assert_eq!(
        graph(&plan),
        [
            ("left", "generate", vec![]),
            ("right", "generate", vec![]),
            ("out", "blend", vec!["left", "right"])
        ]
    );
    let StageOp::Generate { caption } = &plan.stages[1].op else {
        panic!("{plan:?}")
    };
    assert!(
        caption.contains("background: a snowy forest at night, light: night."),
        "{caption}"
    );
    let stacked = staged("top half a blue sky, bottom half a deep ocean");
    let StageOp::Blend {
        mask: Mask::Linear { angle, .. },
        ..
    } = stacked.stages[2].op.clone()
    else {
        panic!("{stacked:?}")
    };
    assert_eq!(angle, 90.0);
}

#[test]
fn a_picture_in_a_picture_is_painted_into_its_box() {
    let plan = staged("a living room with a painting of a ship on the wall");
    assert_eq!(
        graph(&plan),
        [
            ("scene", "generate", vec![]),
            ("detail", "repair", vec!["scene"])
        ]
    );
}
