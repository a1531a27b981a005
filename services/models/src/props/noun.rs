//! The ways to read a noun phrase, from its exact words to its head.

use atelier_engine::planning::IRREGULAR_PLURALS;

/// Most words of a phrase that are looked at.
const MAX_WORDS: usize = 12;

/// Words before which the head of a phrase stands: a cat *in* a spacesuit.
const AFTER_HEAD: &[&str] = &[
    "in", "on", "with", "at", "under", "from", "wearing", "holding", "that", "who", "which", "and",
    "near", "by", "made",
];

/// Lower case, single spaces, no punctuation, no leading article.
pub fn normal(text: &str) -> String {
    let plain: String = text
        .chars()
        .take(400)
        .map(|c| {
            if c.is_alphanumeric() || c == '\'' {
                c
            } else {
                ' '
            }
        })
        .collect::<String>()
        .to_lowercase();
    let mut words: Vec<&str> = plain.split_whitespace().take(MAX_WORDS).collect();
    while words.len() > 1
        && matches!(
            words[0],
            "a" | "an" | "the" | "some" | "my" | "one" | "his" | "her" | "its" | "their" | "our"
        )
    {
        words.remove(0);
    }
    words.join(" ")
}

/// What the phrase may mean, the likeliest first: as it is, singular, then its tails (`grumpy old cat`, `old cat`, `cat`), then what it is made of.
pub fn readings(phrase: &str) -> Vec<String> {
    let whole = normal(phrase);
    let words: Vec<&str> = whole.split(' ').filter(|word| !word.is_empty()).collect();
    let mut readings = Vec::new();
    with_singulars(&words, &mut readings);
    let head = words
        .iter()
        .position(|word| AFTER_HEAD.contains(word))
        .unwrap_or(words.len());
    // `cat drinking coffee` is a cat; but `old fishing rod` is a rod, so that the whole is tried too.
    if let Some(doing) = words[..head].iter().skip(1).position(|word| is_doing(word)) {
        tails(&words[..=doing], &mut readings);
    }
    tails(&words[..head], &mut readings);
    // `bowl of soup`: its head is tried first (`bowl`), then what it holds.
    if let Some(of) = words[..head].iter().position(|word| *word == "of") {
        tails(&words[..of], &mut readings);
        tails(&words[of + 1..head], &mut readings);
    }
    readings
}

/// Whether a word says what the thing before it does.
fn is_doing(word: &str) -> bool {
    word.len() > 4
        && word.ends_with("ing")
        && !matches!(
            word,
            "building" | "painting" | "string" | "thing" | "spring"
        )
}

fn tails(words: &[&str], readings: &mut Vec<String>) {
    for start in 0..words.len() {
        with_singulars(&words[start..], readings);
    }
}

/// The words as they are, then with the last one in the singular.
fn with_singulars(words: &[&str], readings: &mut Vec<String>) {
    let Some((last, before)) = words.split_last() else {
        return;
    };
    for form in std::iter::once((*last).to_owned()).chain(singulars(last)) {
        let mut reading = before.join(" ");
        if !reading.is_empty() {
            reading.push(' ');
        }
        reading.push_str(&form);
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    // `cups of coffee`: the plural is on the first word.
    if words.len() > 2 && words[1] == "of" {
        for form in singulars(words[0]) {
            readings.push(format!("{form} {}", words[1..].join(" ")));
        }
    }
}

/// Singular forms that a plural may come from, and plural forms that a singular may have (`cherry` finds `cherries`).
pub fn singulars(word: &str) -> Vec<String> {
    let mut forms: Vec<String> = IRREGULAR_PLURALS
        .iter()
        .filter(|(many, _)| *many == word)
        .map(|(_, one)| (*one).to_owned())
        .collect();
    if let Some(stem) = word.strip_suffix("men").filter(|stem| !stem.is_empty()) {
        forms.push(format!("{stem}man"));
    }
    if let Some(stem) = word.strip_suffix("ies") {
        forms.push(format!("{stem}y"));
    }
    if let Some(stem) = word.strip_suffix("ves") {
        forms.extend([format!("{stem}f"), format!("{stem}fe")]);
    }
    if let Some(stem) = word.strip_suffix("es") {
        forms.push(stem.to_owned());
    }
    match word.strip_suffix('s') {
        Some(stem) if !stem.is_empty() && !stem.ends_with('s') => forms.push(stem.to_owned()),
        Some(_) => {}
        None => {
            forms.push(format!("{word}s"));
            if let Some(stem) = word.strip_suffix('y') {
                forms.push(format!("{stem}ies"));
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_read_from_their_words_to_their_head() {
        let readings = readings("The grumpy Cats in a box");
        let place = |reading: &str| readings.iter().position(|found| found == reading);
        assert_eq!(place("grumpy cats in a box"), Some(0));
        assert!(place("grumpy cat") < place("cat"));
        assert!(place("cat").is_some());
        assert!(place("a").is_none() && place("box").is_none_or(|at| Some(at) > place("cat")));
    }

    #[test]
    fn what_a_thing_does_is_not_its_head() {
        let readings = readings("cat drinking coffee");
        let place = |reading: &str| {
            readings
                .iter()
                .position(|found| found == reading)
                .expect("a reading")
        };
        assert!(place("cat") < place("coffee"));
        assert!(super::readings("my old fishing rod").contains(&"fishing rod".to_owned()));
    }

    #[test]
    fn holders_come_before_what_they_hold() {
        let readings = readings("two bowls of soup");
        let place = |reading: &str| {
            readings
                .iter()
                .position(|found| found == reading)
                .expect("a reading")
        };
        assert!(place("bowls of soup") < place("bowl") && place("bowl of soup") < place("soup"));
    }
}
