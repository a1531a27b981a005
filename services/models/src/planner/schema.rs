//! The schema of a [`Draft`](atelier_engine::planning::Draft) for one prompt.

use atelier_engine::planning::PREDICATES;

use super::{
    grammar::{Member, RuleId, Schema, SchemaBuilder},
    words::PromptWords,
};
use crate::props::vocabulary::{Background, TimeOfDay};

/// Most things that a draft names.
pub const MAX_THINGS: usize = 8;

/// Most things that a draft can be told to name.
pub const MAX_NAMED: usize = 12;

/// Most attributes of a thing.
pub const MAX_ATTRIBUTES: usize = 3;

/// Most relations of a draft.
pub const MAX_RELATIONS: usize = 6;

/// Longest noun and attribute, in bytes, where they are not bound to the prompt.
const FREE_NOUN: usize = 32;
const FREE_ATTRIBUTE: usize = 48;

/// Whether a draft may only name what its prompt names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nouns, attributes, counts, colours, sizes and places must come from the prompt.
    Prompt,
    /// Any words.
    Free,
}

/// The schema of drafts of a prompt: members in the order of the type, empty ones left out. None when the prompt has no words.
pub fn draft_schema(words: &PromptWords, binding: Binding) -> Option<Schema> {
    schema_naming(words, binding, &[])
}

/// The same for drafts that name exactly these things, in this order; any where there are none.
pub fn schema_naming(words: &PromptWords, binding: Binding, things: &[String]) -> Option<Schema> {
    let mut schema = SchemaBuilder::default();
    let noun;
    let mut element = Vec::new();
    let mut optional = |key, value: Option<RuleId>| {
        element.extend(value.map(|value| Member {
            key,
            value,
            optional: true,
        }));
    };
    match binding {
        Binding::Prompt => {
            noun = schema.one_of(words.nouns(), true)?;
            optional("count", schema.number(words.numbers()));
            optional("color", schema.one_of(words.colors(), false));
            optional("place", schema.one_of(words.places(), false));
            optional("size", schema.one_of(words.sizes(), false));
            let attribute = schema.one_of(words.attributes(), false);
            optional(
                "with",
                attribute.map(|attribute| schema.array(attribute, 1, MAX_ATTRIBUTES)),
            );
        }
        Binding::Free => {
            noun = schema.words(FREE_NOUN, true);
            optional("count", schema.number(2..=12));
            let colors = crate::props::vocabulary::Color::ALL.map(|color| color.name());
            optional("color", schema.one_of(colors, false));
            optional("place", schema.one_of(super::words::places(), false));
            optional("size", schema.one_of(["small", "large"], false));
            let attribute = schema.words(FREE_ATTRIBUTE, false);
            optional("with", Some(schema.array(attribute, 1, MAX_ATTRIBUTES)));
        }
    }
    let thing = |schema: &mut SchemaBuilder, noun: RuleId| {
        let noun = Member {
            key: "noun",
            value: noun,
            optional: false,
        };
        schema.object(
            std::iter::once(noun)
                .chain(element.iter().cloned())
                .collect(),
        )
    };
    let elements = if things.is_empty() {
        let element = thing(&mut schema, noun);
        schema.array(element, 1, MAX_THINGS)
    } else {
        let named: Vec<RuleId> = things
            .iter()
            .take(MAX_NAMED)
            .filter_map(|name| schema.one_of([name], true))
            .collect();
        let items = named
            .into_iter()
            .map(|noun| thing(&mut schema, noun))
            .collect();
        schema.tuple(items)
    };
    let named = schema.remembered();
    let predicate = schema.one_of(PREDICATES.map(|(_, words)| words[0]), false)?;
    let relation = schema.tuple(vec![named, predicate, named]);
    let relations = schema.array(relation, 1, MAX_RELATIONS);
    // An empty text: the prompt does not say.
    let backgrounds = Background::ALL.map(Background::name);
    let background = schema.one_of(backgrounds.into_iter().chain([""]), false)?;
    let times = TimeOfDay::ALL.map(TimeOfDay::name);
    let time = schema.one_of(times.into_iter().chain([""]), false)?;
    let member = |key, value, optional| Member {
        key,
        value,
        optional,
    };
    let root = schema.object(vec![
        member("elements", elements, false),
        member("relations", relations, true),
        member("background", background, false),
        member("time", time, false),
    ]);
    Some(schema.build(root))
}
