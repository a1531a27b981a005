//! Which words of the prompt what stands in a plan comes from.

use std::ops::Range;

use atelier_proto::{
    plan::{Element, Plan},
    report::Cited,
};

use super::{
    colors,
    elements::phrases,
    relations,
    words::{IRREGULAR_PLURALS, VAGUE, Word, number, read, span_of, starts, stem},
};

/// What words of a prompt mean in the words of plans: `golden` is `yellow`.
pub type Means<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Words before a noun that may say how many there are or which colour it has.
const BEFORE: usize = 4;

/// What words have in common whatever their number: `bunnies` and `bunny`, `wolves` and `wolf`.
pub fn root(word: &str) -> String {
    if let Some((_, single)) = IRREGULAR_PLURALS.iter().find(|(plural, _)| *plural == word) {
        return root(single);
    }
    let cut = |end: &str| word.strip_suffix(end).filter(|rest| rest.len() > 1);
    if let Some(rest) = cut("ies") {
        return stem(&format!("{rest}y"));
    }
    if let Some(rest) = cut("ves") {
        return stem(&format!("{rest}f"));
    }
    // `knives` and `knife`.
    if let Some(rest) = cut("fes").or_else(|| cut("fe")) {
        return stem(&format!("{rest}f"));
    }
    let hisses =
        |rest: &&str| rest.ends_with(['x', 's']) || rest.ends_with("ch") || rest.ends_with("sh");
    // `horses` may be of `hors` or of `horse`: both are the same.
    let hissing = cut("es").or_else(|| cut("e")).filter(hisses);
    stem(hissing.unwrap_or(word))
}

/// Whether two names are of the same words, whatever their number.
pub fn same_words(a: &str, b: &str) -> bool {
    let roots =
        |text: &str| -> Vec<String> { read(text).iter().map(|word| root(&word.text)).collect() };
    roots(a) == roots(b)
}

/// A prompt in which things are looked up.
pub struct Witness<'a> {
    prompt: &'a str,
    pub words: Vec<Word>,
    roots: Vec<String>,
    means: Means<'a>,
}

impl<'a> Witness<'a> {
    pub fn new(prompt: &'a str, means: Means<'a>) -> Self {
        let words = read(prompt);
        Self {
            prompt,
            roots: words.iter().map(|word| root(&word.text)).collect(),
            words,
            means,
        }
    }

    /// The words that name something, one not in `taken` if possible; its last word alone where the whole is not found.
    pub fn find(&self, text: &str, taken: &[Range<usize>]) -> Option<Range<usize>> {
        let wanted: Vec<String> = read(text).iter().map(|word| root(&word.text)).collect();
        let places = |wanted: &[String]| -> Option<Range<usize>> {
            let len = wanted.len();
            if len == 0 || len > self.roots.len() {
                return None;
            }
            let runs = (0..=self.roots.len() - len)
                .filter(|from| self.roots[*from..from + len] == *wanted);
            let runs: Vec<Range<usize>> = runs.map(|from| from..from + len).collect();
            let free = |run: &&Range<usize>| {
                taken
                    .iter()
                    .all(|other| run.end <= other.start || other.end <= run.start)
            };
            runs.iter().find(free).or_else(|| runs.first()).cloned()
        };
        places(&wanted).or_else(|| places(wanted.get(wanted.len().checked_sub(1)?..)?))
    }

    /// How often the prompt names something.
    pub fn times(&self, text: &str) -> usize {
        let wanted: Vec<String> = read(text).iter().map(|word| root(&word.text)).collect();
        if wanted.is_empty() {
            return 0;
        }
        let runs = self.roots.windows(wanted.len());
        runs.filter(|run| **run == *wanted).count()
    }

    /// The bytes of some words.
    pub fn span(&self, range: Range<usize>) -> Range<usize> {
        span_of(&self.words, range)
    }

    /// A citation of these bytes.
    pub fn cite(&self, what: impl Into<String>, span: Range<usize>) -> Cited {
        Cited {
            what: what.into(),
            words: self.prompt.get(span.clone()).unwrap_or_default().to_owned(),
            at: u32::try_from(span.start).unwrap_or(u32::MAX),
        }
    }

    /// The word that means `text`, nearest to the word `near` and preferably before it.
    fn meaning(&self, text: &str, near: Option<usize>) -> Option<usize> {
        let fits = |at: &usize| self.names(&self.words[*at].text, text);
        let all: Vec<usize> = (0..self.words.len()).filter(fits).collect();
        let distance = |at: usize| match near {
            Some(near) if at < near => near - at,
            // A colour behind its noun belongs to it less often.
            Some(near) => 2 * (at - near) + BEFORE,
            None => 0,
        };
        all.into_iter().min_by_key(|at| distance(*at))
    }

    /// Whether a word of the prompt is `text` in the words of plans.
    fn names(&self, word: &str, text: &str) -> bool {
        word == text || (self.means)(word).is_some_and(|meant| meant == text)
    }

    /// Everything in the plan that words of the prompt stand for.
    pub fn cited(&self, plan: &Plan) -> Vec<Cited> {
        let mut cited = Vec::new();
        let mut taken: Vec<Range<usize>> = Vec::new();
        let mut noun_of: Vec<Option<Range<usize>>> = Vec::new();
        for (index, element) in plan.elements.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &plan.elements[before]);
            if before.is_some_and(|before| is_sibling(before, element)) {
                // Another of several: the words are those of the first.
                noun_of.push(noun_of[index - 1].clone());
                continue;
            }
            let noun = self.find(&element.noun, &taken);
            if let Some(noun) = &noun {
                taken.push(noun.clone());
                cited.push(self.cite(format!("elements.{}", element.id), self.span(noun.clone())));
            }
            let siblings = plan.elements[index..]
                .iter()
                .take_while(|other| is_sibling(element, other));
            self.about(element, noun.as_ref(), siblings.count(), &mut cited);
            noun_of.push(noun);
        }
        self.relations(plan, &noun_of, &mut cited);
        for (what, text) in [
            ("background", &plan.background),
            ("lighting", &plan.lighting),
        ] {
            let found = self.meaning(text, None).map(|at| at..at + 1);
            let found = found.or_else(|| {
                let words = read(text);
                words.iter().find_map(|word| self.find(&word.text, &[]))
            });
            cited.extend(found.map(|words| self.cite(what, self.span(words))));
        }
        cited
    }

    fn about(
        &self,
        element: &Element,
        noun: Option<&Range<usize>>,
        count: usize,
        cited: &mut Vec<Cited>,
    ) {
        let near = noun.map(|noun| noun.start);
        for color in &element.colors {
            let named = |word: &str| self.names(word, color).then(|| color.clone());
            let behind = noun.and_then(|noun| colors::behind(&self.words, noun.end, &named));
            let words = behind.map(|(_, words)| words);
            let words = words.or_else(|| self.meaning(color, near).map(|at| at..at + 1));
            if let Some(words) = words {
                cited.push(self.cite(format!("elements.{}.colors", element.id), self.span(words)));
            }
        }
        for attribute in &element.attributes {
            if let Some(words) = self.find(attribute, &[]) {
                cited.push(self.cite(
                    format!("elements.{}.attributes", element.id),
                    self.span(words),
                ));
            }
        }
        if let (2.., Some(near)) = (count, near) {
            let says_so = |at: &usize| {
                let word = self.words[*at].text.as_str();
                VAGUE.contains(&word) || number(word).is_some_and(|said| usize::from(said) == count)
            };
            if let Some(at) = (near.saturating_sub(BEFORE)..near).rev().find(says_so) {
                cited.push(self.cite(
                    format!("elements.{}.count", element.id),
                    self.span(at..at + 1),
                ));
            }
        }
    }

    fn relations(&self, plan: &Plan, noun_of: &[Option<Range<usize>>], cited: &mut Vec<Cited>) {
        let noun = |id: &str| {
            let index = plan.elements.iter().position(|element| element.id == id)?;
            noun_of[index].clone()
        };
        let said = relations::said(&self.words, noun_of);
        for (index, relation) in plan.relations.iter().enumerate() {
            let (Some(a), Some(b)) = (noun(&relation.subject), noun(&relation.object)) else {
                continue;
            };
            let outright = said.iter().find(|said| {
                let things = [said.subject, said.object].map(|thing| noun_of[thing].as_ref());
                said.predicate == relation.predicate && things == [Some(&a), Some(&b)]
            });
            if let Some(said) = outright {
                let words = self.span(said.words.clone());
                cited.push(self.cite(format!("relations.{index}"), words));
                continue;
            }
            let middle = usize::midpoint(a.start.min(b.start), a.start.max(b.start));
            let found = phrases(relation.predicate)
                .iter()
                .filter_map(|phrase| self.phrase(phrase, middle))
                .min_by_key(|words| (words.start.abs_diff(middle), usize::MAX - words.len()));
            if let Some(words) = found {
                cited.push(self.cite(format!("relations.{index}"), self.span(words)));
            }
        }
    }

    /// A phrase as it stands, the one nearest to a word.
    fn phrase(&self, phrase: &str, near: usize) -> Option<Range<usize>> {
        (0..self.words.len())
            .filter_map(|from| Some(from..starts(&self.words, from, phrase)?))
            .min_by_key(|found| found.start.abs_diff(near))
    }
}

/// Whether two elements are instances of one counted thing.
fn is_sibling(a: &Element, b: &Element) -> bool {
    (&a.noun, &a.colors, &a.attributes) == (&b.noun, &b.colors, &b.attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several_have_the_same_words() {
        for (one, several) in [
            ("horse", "horses"),
            ("vase", "vases"),
            ("axe", "axes"),
            ("bus", "buses"),
            ("fox", "foxes"),
            ("dress", "dresses"),
            ("bunny", "bunnies"),
            ("wolf", "wolves"),
            ("knife", "knives"),
            ("safe", "safes"),
            ("mouse", "mice"),
            ("goose", "geese"),
            ("bowl of soup", "bowls of soup"),
            ("prize", "prizes"),
        ] {
            assert!(same_words(one, several), "{one}, {several}");
        }
        for (a, b) in [("horse", "house"), ("cat", "car"), ("cat", "black cat")] {
            assert!(!same_words(a, b), "{a}, {b}");
        }
    }
}
