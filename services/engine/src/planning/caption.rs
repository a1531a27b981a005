//! Words of a plan: background, light, caption and reasoning.

use atelier_proto::plan::{Element, Plan};

use super::{Draft, elements::Group};

/// Longest background or light in characters.
const MAX_WORDS: usize = 120;

/// Most bytes of a caption's things: with background and light it stays within what a plan may hold.
const MAX_THINGS: usize = 3_000;

/// What is behind, in the draft's words; `ground` of the things' colours when the prompt names nothing.
pub fn background(draft: &Draft, ground: &dyn Fn(&[&str]) -> &'static str) -> String {
    let named: String = draft
        .background
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_WORDS)
        .collect();
    if named.is_empty() {
        let colors = draft.elements.iter();
        let colors: Vec<&str> = colors.filter_map(|thing| thing.color.as_deref()).collect();
        ground(&colors).to_owned()
    } else {
        named
    }
}

/// The light: the draft's time, `day` when the prompt names none.
pub fn lighting(draft: &Draft) -> String {
    match draft.time.as_str() {
        "" => "day".into(),
        time => time
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_WORDS)
            .collect(),
    }
}

/// The full picture in one sentence.
pub fn caption(groups: &[Group], background: &str, lighting: &str) -> String {
    let things: Vec<String> = groups.iter().map(phrase).collect();
    let mut things = match things.as_slice() {
        [] => "An empty scene".to_owned(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    };
    things.truncate(things.floor_char_boundary(MAX_THINGS));
    let mut caption = format!("{things}; background: {background}, light: {lighting}.");
    if let Some(first) = caption.get(..1) {
        let upper = first.to_uppercase();
        caption.replace_range(..1, &upper);
    }
    caption
}

/// Ground and light of words that end as a caption does.
pub fn ground_and_light(words: &str) -> Option<(&str, &str)> {
    let (_, behind) = words.rsplit_once("background: ")?;
    let (background, light) = behind.rsplit_once(", light: ")?;
    Some((background, light.trim_end_matches('.')))
}

/// A caption with another ground and light; one of another form stays as it is.
pub fn elsewhere(caption: &str, background: &str, lighting: &str) -> String {
    match caption.rsplit_once("background: ") {
        Some((things, _)) if ground_and_light(caption).is_some() => {
            format!("{things}background: {background}, light: {lighting}.")
        }
        _ => caption.to_owned(),
    }
}

/// What the renderer reads for one thing: `a red cat, in a spacesuit`.
pub fn of_element(element: &Element) -> String {
    let mut words = element.colors.clone();
    words.push(element.noun.clone());
    let mut phrase = format!("a {}", words.join(" "));
    for attribute in &element.attributes {
        phrase.push_str(", ");
        phrase.push_str(attribute);
    }
    phrase
}

/// `a red cat in a spacesuit`, `3 red cats`.
fn phrase(group: &Group) -> String {
    let mut words: Vec<&str> = group.color.iter().map(String::as_str).collect();
    words.push(&group.noun);
    let mut phrase = words.join(" ");
    let count = group.instances.len();
    phrase = if count > 1 {
        format!("{count} x {phrase}")
    } else {
        format!("one {phrase}")
    };
    if !group.attributes.is_empty() {
        phrase = format!("{phrase} {}", group.attributes.join(", "));
    }
    phrase
}

/// What was decided, in at most 60 words.
pub fn reasoning(plan: &Plan, groups: &[Group]) -> String {
    let mut text = format!(
        "{} things on {} by {}.",
        plan.elements.len(),
        plan.background,
        plan.lighting
    );
    for group in groups {
        let element = &plan.elements[group.instances.start];
        let Some(bbox) = element.bbox else { continue };
        let (x, y) = bbox.center();
        text.push_str(&format!(" {} at {x:.2}, {y:.2}.", element.id));
    }
    let words: Vec<&str> = text.split_whitespace().take(60).collect();
    words.join(" ")
}
