//! A prompt as words, each with its place, so that what a plan says can be traced back to them.

use std::ops::Range;

/// Most words of a prompt that are looked at.
const MOST: usize = 512;

/// Words that say how many. Vague ones are given a number that shows what they mean.
pub const NUMBERS: &[(&str, u8)] = &[
    ("two", 2),
    ("couple", 2),
    ("pair", 2),
    ("both", 2),
    ("twin", 2),
    ("three", 3),
    ("trio", 3),
    ("few", 3),
    ("some", 3),
    ("several", 3),
    ("group", 3),
    ("four", 4),
    ("five", 5),
    ("many", 5),
    ("lots", 5),
    ("six", 6),
    ("dozen", 12),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
];

/// Those that mean no number in particular.
pub const VAGUE: &[&str] = &["few", "some", "several", "group", "many", "lots"];

/// Plurals that no rule makes, with their singulars.
pub const IRREGULAR_PLURALS: &[(&str, &str)] = &[
    ("mice", "mouse"),
    ("geese", "goose"),
    ("men", "man"),
    ("women", "woman"),
    ("children", "child"),
    ("people", "person"),
    ("feet", "foot"),
    ("teeth", "tooth"),
    ("dice", "die"),
    ("oxen", "ox"),
    ("cacti", "cactus"),
    ("octopi", "octopus"),
];

/// A word, lower case, or one of the marks `, ; : / | > .`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Where it stands in the prompt, in bytes.
    pub span: Range<usize>,
}

/// The words and marks of a prompt, in order. `→` and `->` are the mark `>`.
pub fn read(prompt: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut begin = None;
    let mut push = |span: Range<usize>, text: String| {
        if words.len() < MOST {
            words.push(Word { text, span });
        }
    };
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '\u{2019}');
    for (at, c) in prompt.char_indices().chain([(prompt.len(), ' ')]) {
        if in_word(c) {
            begin.get_or_insert(at);
            continue;
        }
        if let Some(from) = begin.take() {
            let text = prompt[from..at].to_lowercase().replace('\u{2019}', "'");
            push(from..at, text.trim_matches('\'').to_owned());
        }
        let mark = match c {
            ',' | ';' | ':' | '/' | '|' | '>' | '.' => c,
            '\u{2192}' => '>',
            _ => continue,
        };
        push(at..at + c.len_utf8(), mark.to_string());
    }
    words.retain(|word| !word.text.is_empty());
    words
}

/// Where a phrase ends whose first word is that at `at`.
pub fn starts(words: &[Word], at: usize, phrase: &str) -> Option<usize> {
    let mut end = at;
    for word in phrase.split(' ') {
        if words.get(end)?.text != word {
            return None;
        }
        end += 1;
    }
    Some(end)
}

/// What the words of a range are in the prompt, exactly.
pub fn span_of(words: &[Word], range: Range<usize>) -> Range<usize> {
    match words.get(range) {
        Some([first, .., last]) => first.span.start..last.span.end,
        Some([one]) => one.span.clone(),
        _ => 0..0,
    }
}

/// Rough: the first five letters tell `cats` from `dogs` and join `snow` with `snowy`.
pub fn stem(word: &str) -> String {
    let bare = word
        .strip_suffix('s')
        .filter(|bare| bare.len() > 2)
        .unwrap_or(word);
    bare.chars().take(5).collect()
}

/// How many a word or a number says, where it says more than one.
pub fn number(word: &str) -> Option<u8> {
    let named = NUMBERS.iter().find(|(name, _)| *name == word);
    let number = named.map(|(_, number)| *number);
    number
        .or_else(|| word.parse().ok())
        .filter(|count| *count > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_where_they_stand() {
        let prompt = "Day→night: the cat\u{2019}s Über-café, 'quoted' -> end";
        let words = read(prompt);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "day", ">", "night", ":", "the", "cat's", "über", "café", ",", "quoted", ">", "end"
            ]
        );
        assert_eq!(&prompt[span_of(&words, 6..8)], "Über-café");
        assert_eq!(span_of(&words, 3..3), 0..0);
        assert!(read(&"word ".repeat(10_000)).len() <= MOST);
        assert_eq!(stem("cats"), stem("cat"));
    }
}
