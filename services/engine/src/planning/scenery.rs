//! Places that a draft takes for things: `a cityscape` is what is behind, and no picture of a city stands in front of it.

use super::{
    Draft, DraftElement, Studio, elements,
    stages::{LANDSCAPES, Scenes, is_said_of_light},
    words::read,
};

/// The draft without things that are places the renderer draws behind everything, and without the sky of which only its change is said.
pub fn behind(draft: &Draft, scenes: &Scenes, studio: &Studio<'_>) -> Draft {
    let mut draft = draft.clone();
    let changes = matches!(scenes, Scenes::Changes { .. });
    let mut gone: Vec<String> = Vec::new();
    let mut background = draft.background.clone();
    draft.elements.retain(|thing| {
        let place = place(thing, studio).filter(|place| {
            // One place is behind; a second one stands in it.
            background.is_empty() || background == *place
        });
        let light = changes && is_said_of_light(&thing.noun);
        background = place.clone().unwrap_or_else(|| background.clone());
        let goes = place.is_some() || light;
        if goes {
            gone.push(thing.noun.clone());
        }
        !goes
    });
    draft.background = background;
    let left = &draft.elements;
    draft.relations.retain(|(a, _, b)| {
        let is_gone =
            |noun: &String| gone.contains(noun) && !left.iter().any(|thing| thing.noun == *noun);
        !is_gone(a) && !is_gone(b)
    });
    draft
}

/// The background that a thing is, when it is nothing else.
fn place(thing: &DraftElement, studio: &Studio<'_>) -> Option<String> {
    let plain = thing.count.is_none_or(|count| count == 1) && thing.color.is_none();
    let sent = |name: &String| elements::means(&thing.noun, name);
    if !plain || studio.reference_names.iter().any(sent) || (studio.prop_of)(&thing.noun).is_some()
    {
        return None;
    }
    let head = read(&thing.noun).pop()?.text;
    let known = LANDSCAPES.contains(&head.as_str());
    (studio.means)(&head).filter(|_| known)
}

#[cfg(test)]
mod tests {
    use super::{super::stages::scenes, *};

    fn thing(noun: &str) -> DraftElement {
        DraftElement {
            noun: noun.into(),
            ..DraftElement::default()
        }
    }

    /// Nouns and background that are left of a draft.
    fn left(prompt: &str, things: &[DraftElement], background: &str) -> (Vec<String>, String) {
        let draft = Draft {
            elements: things.to_vec(),
            relations: vec![("cat".into(), "in".into(), "forest".into())],
            background: background.into(),
            ..Draft::default()
        };
        let names = ["my street".to_owned()];
        let studio = Studio {
            reference_names: &names,
            prop_of: &|noun| noun.ends_with("mountain").then(|| "mountain".to_owned()),
            stand_in: &|_| None,
            means: &|word| match word {
                "cityscape" | "city" | "street" => Some("city".to_owned()),
                "forest" => Some("forest".to_owned()),
                "mountain" => Some("snow".to_owned()),
                _ => None,
            },
            color_of: &|_| None,
            ground: &|_| "plain",
        };
        let draft = behind(&draft, &scenes(prompt), &studio);
        let forest = draft.elements.iter().any(|thing| thing.noun == "forest");
        assert_eq!(
            draft.relations.len(),
            usize::from(forest || !things.iter().any(|thing| thing.noun == "forest"))
        );
        let nouns = draft.elements.into_iter().map(|thing| thing.noun);
        (nouns.collect(), draft.background)
    }

    #[test]
    fn a_place_that_is_drawn_behind_is_no_thing() {
        let prompt = "a cityscape transitioning from day to night";
        for background in ["city", ""] {
            let made = left(prompt, &[thing("cityscape")], background);
            assert_eq!(made, (vec![], "city".into()));
        }
        let made = left(
            "a cat in a dark forest",
            &[thing("cat"), thing("forest")],
            "",
        );
        assert_eq!(made, (vec!["cat".into()], "forest".into()));
    }

    #[test]
    fn a_place_that_is_more_than_that_stays_a_thing() {
        let colored = DraftElement {
            color: Some("red".into()),
            ..thing("forest")
        };
        let counted = DraftElement {
            count: Some(2),
            ..thing("forest")
        };
        // In another place, with a picture in the library or of the user's, coloured, counted, unknown.
        for (thing, background) in [
            (thing("forest"), "city"),
            (thing("mountain"), ""),
            (thing("my street"), ""),
            (colored, ""),
            (counted, ""),
            (thing("swamp"), ""),
        ] {
            let (nouns, behind) = left("a prompt", std::slice::from_ref(&thing), background);
            assert_eq!((nouns.len(), behind.as_str()), (1, background), "{thing:?}");
        }
    }

    #[test]
    fn a_sky_that_only_changes_is_no_thing() {
        let prompt = "a cat, the sky going from dusk to night";
        let things = [thing("cat"), thing("sky going"), thing("traffic light")];
        assert_eq!(left(prompt, &things, "").0, ["cat", "traffic light"]);
        assert_eq!(left("a cat under the sky", &things[..2], "").0.len(), 2);
    }
}
