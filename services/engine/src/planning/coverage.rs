//! Which words of the prompt nothing in the plan cites, and which of them name things that should be in it.

use std::collections::HashSet;

use atelier_proto::{
    plan::{Plan, StageOp},
    report::{Cited, Coverage},
};

use super::{
    evidence::{Witness, root},
    words::{NUMBERS, Word, read},
};

/// Words that carry no thing, colour or place, beside those of [`NUMBERS`].
const EMPTY: &[&str] = &[
    "a",
    "an",
    "the",
    "and",
    "or",
    "of",
    "lot",
    "bunch",
    "in",
    "on",
    "at",
    "by",
    "to",
    "with",
    "from",
    "for",
    "is",
    "are",
    "its",
    "it",
    "this",
    "that",
    "there",
    "one",
    "photo",
    "picture",
    "image",
    "drawing",
    "illustration",
    "painting",
    "render",
    "scene",
    "close",
    "style",
    "draw",
    "show",
    "shows",
    "showing",
    "make",
    "me",
    "please",
    "i",
    "want",
    "very",
    "next",
    "near",
    "nearby",
    "over",
    "under",
    "above",
    "below",
    "behind",
    "front",
    "left",
    "right",
    "top",
    "bottom",
    "upper",
    "lower",
    "side",
    "corner",
    "background",
    "foreground",
    "middle",
    "center",
    "centre",
    "between",
    "beside",
    "inside",
    "into",
    "onto",
    "around",
    "as",
    "while",
    "who",
    "which",
    "his",
    "her",
    "their",
    "my",
    "our",
    "your",
    "he",
    "she",
    "they",
    "has",
    "have",
    "having",
    "being",
    "be",
    "each",
    "other",
    "another",
    "all",
    "up",
    "down",
    "out",
    "off",
    "small",
    "large",
    "big",
    "tiny",
    "little",
    "huge",
    "giant",
    "half",
];

/// Words that join or sum up and name nothing: `plus also two dogs`, `everything at sea`.
const PARTICLES: &[&str] = &[
    "plus",
    "also",
    "too",
    "besides",
    "else",
    "both",
    "together",
    "everything",
    "everyone",
    "something",
    "anything",
    "nothing",
];

/// Words for pictures, which say nothing before `of`: `a portrait of a cat`, but `a portrait above a sofa`.
const PICTURES: &[&str] = &[
    "portrait",
    "sketch",
    "watercolor",
    "watercolour",
    "photograph",
    "snapshot",
    "closeup",
    "view",
    "cartoon",
    "poster",
];

/// Words before a thing that is named for the first time.
const BEFORE_THINGS: &[&str] = &[
    "a", "an", "the", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "some", "several", "my", "his", "her", "its", "their", "and", "with", ",",
];

/// Most words that are told, and most things that a second draft is asked to name.
const MOST_WORDS: usize = 32;
const MOST_THINGS: usize = 8;
/// Most words of a thing.
const LONGEST: usize = 3;

/// What of a prompt is not in a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncited {
    /// Content words, lower case, in order.
    pub words: Vec<String>,
    /// Things among them, in order.
    pub things: Vec<String>,
    /// How many words that is, of how many.
    pub coverage: Coverage,
    /// Words of number, side, size and relation that nothing keeps, in order; they are no content words.
    pub unkept: Vec<String>,
}

/// What of the prompt nothing in the plan cites. `knows` says whether there is such a thing in the world that is drawn. Of a picture that is divided
/// into halves, `ground` says which words their grounds and lights are read from; none where it is not divided.
pub fn uncited(
    witness: &Witness<'_>,
    plan: &Plan,
    cited: &[Cited],
    knows: &dyn Fn(&str) -> bool,
    ground: Option<&dyn Fn(&str) -> bool>,
) -> Uncited {
    let covered = covered(witness, plan, cited, ground);
    let says: Vec<bool> = (0..witness.words.len())
        .map(|at| says_something(&witness.words, at))
        .collect();
    let open: Vec<bool> = says
        .iter()
        .zip(&covered)
        .map(|(says, covered)| *says && !covered)
        .collect();
    let mut seen = HashSet::new();
    let words = witness.words.iter().zip(&open);
    let mut words: Vec<String> = words
        .filter(|(word, open)| **open && seen.insert(word.text.clone()))
        .map(|(word, _)| word.text.clone())
        .collect();
    let content = witness.words.iter().zip(&says).filter(|(_, says)| **says);
    let content: HashSet<&str> = content.map(|(word, _)| word.text.as_str()).collect();
    let number = |words: usize| u32::try_from(words).unwrap_or(u32::MAX);
    let coverage = Coverage {
        words: number(content.len()),
        uncited: number(words.len()),
    };
    words.truncate(MOST_WORDS);
    Uncited {
        words,
        unkept: Vec::new(),
        coverage,
        things: things(witness, &open, &covered, knows),
    }
}

/// Whether a noun of a draft is made of words that name nothing.
pub fn names_nothing(noun: &str) -> bool {
    let words = read(noun);
    let mut texts = words.iter().map(|word| word.text.as_str());
    let joins = texts.clone().any(|word| PARTICLES.contains(&word));
    joins && texts.all(|word| !is_content(word))
}

/// Whether a noun of a draft only introduces other things of its prompt: `a portrait of a cat`, `a trio of dogs`.
pub fn introduces(witness: &Witness<'_>, noun: &str) -> bool {
    let only_introduces =
        |word: &Word| !is_content(&word.text) || PICTURES.contains(&word.text.as_str());
    read(noun).iter().all(only_introduces)
        && witness.find(noun, &[]).is_some_and(|words| {
            let next = witness.words.get(words.end);
            next.is_some_and(|word| word.text == "of")
        })
}

/// Whether a word of a prompt is about what is in the picture.
pub fn says_something(words: &[Word], at: usize) -> bool {
    let word = words[at].text.as_str();
    let before_of = || words.get(at + 1).is_some_and(|next| next.text == "of");
    let behind = |by: usize, said: &[&str]| {
        let before = at.checked_sub(by).and_then(|at| words.get(at));
        before.is_some_and(|before| said.contains(&before.text.as_str()))
    };
    // `a rocket in the sky` names one thing and where it is.
    let says_where =
        || word == "sky" && behind(1, &["the"]) && behind(2, &["in", "across", "through"]);
    is_content(word) && !(PICTURES.contains(&word) && before_of()) && !says_where()
}

/// Whether a word is about what is in the picture, wherever it stands.
pub fn is_content(word: &str) -> bool {
    let says_how_many = || NUMBERS.iter().any(|(number, _)| *number == word);
    word.chars().count() > 1
        && word.chars().any(char::is_alphabetic)
        && !EMPTY.contains(&word)
        && !PARTICLES.contains(&word)
        && !says_how_many()
}

/// Which words are cited, or stand in the plan all the same. Captions do not count: those of halves are the prompt's own words, whatever the plan has
/// of them, and so are the words that such a stage cites.
fn covered(
    witness: &Witness<'_>,
    plan: &Plan,
    cited: &[Cited],
    ground: Option<&dyn Fn(&str) -> bool>,
) -> Vec<bool> {
    let elements = plan.elements.iter().flat_map(|element| {
        let noun = std::iter::once(&element.noun);
        noun.chain(&element.attributes).chain(&element.colors)
    });
    let stages = plan.stages.iter().map(|stage| match &stage.op {
        StageOp::Edit { instruction, .. } | StageOp::Repair { instruction, .. } => {
            instruction.as_str()
        }
        StageOp::Generate { .. } | StageOp::Blend { .. } => "",
    });
    let texts = elements
        .map(String::as_str)
        .chain([plan.background.as_str(), &plan.lighting, &plan.style])
        .chain(stages);
    let known: HashSet<String> = texts.flat_map(read).map(|word| root(&word.text)).collect();
    let quoted = |one: &&Cited| ground.is_some() && one.what.starts_with("stages.");
    let spans: Vec<_> = cited
        .iter()
        .filter(|one| !quoted(one))
        .map(|one| one.at as usize..one.at as usize + one.words.len())
        .collect();
    witness
        .words
        .iter()
        .map(|word| {
            let inside = |span: &std::ops::Range<usize>| {
                span.start <= word.span.start && word.span.end <= span.end
            };
            known.contains(&root(&word.text))
                || spans.iter().any(inside)
                || ground.is_some_and(|ground| ground(&word.text))
        })
        .collect()
}

/// Runs of open words that name things: the world knows them, or they stand where a thing is named.
fn things(
    witness: &Witness<'_>,
    open: &[bool],
    covered: &[bool],
    knows: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut things: Vec<String> = Vec::new();
    let mut from = 0;
    while from < open.len() {
        if !open[from] {
            from += 1;
            continue;
        }
        let to = (from..open.len())
            .find(|at| !open[*at])
            .unwrap_or(open.len());
        // `a sitting cat`: a word right before a thing of the plan says something about it.
        let describes =
            covered.get(to).is_some_and(|covered| *covered) && is_content(&witness.words[to].text);
        let text = |from: usize| -> String {
            let words = witness.words[from..to]
                .iter()
                .map(|word| word.text.as_str());
            words.collect::<Vec<_>>().join(" ")
        };
        let known = (from..to).map(text).find(|phrase| knows(phrase));
        let introduced = from
            .checked_sub(1)
            .is_some_and(|before| BEFORE_THINGS.contains(&witness.words[before].text.as_str()));
        // `a collage of cats`, of which the plan has the cats.
        let holds = to + 1 < covered.len() && witness.words[to].text == "of" && covered[to + 1];
        let named = introduced && to - from <= LONGEST && !describes && !holds;
        let thing = known
            .filter(|_| !describes)
            .or_else(|| named.then(|| text(from)));
        things.extend(thing.filter(|thing| !things.contains(thing)));
        from = to;
    }
    things.truncate(MOST_THINGS);
    things
}
