//! The text `parameters`: prompt, an optional negative prompt, then one line of `Key: value` pairs. AUTOMATIC1111's web UI began it; image
//! viewers, model sites and most other tools read it. Values with commas, colons or line breaks are JSON strings.

use crate::Text;

/// Words before a negative prompt.
const NEGATIVE: &str = "Negative prompt: ";
/// Fewer pairs than this in the last line, and it belongs to the prompt.
const LEAST_PAIRS: usize = 3;

/// What a picture was made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// What was drawn.
    pub prompt: String,
    /// What was to be avoided; empty where there is no such thing.
    pub negative: String,
    /// Keys and values in their order: `Steps`, `Sampler`, `Seed`, `Size`, `Model`, ...
    pub pairs: Vec<(String, String)>,
}

impl Parameters {
    /// The keyword of the text.
    pub const KEYWORD: &str = "parameters";

    /// The same as a text of a PNG.
    pub fn to_text(&self) -> Text {
        let mut text = self.prompt.trim().to_owned();
        if !self.negative.trim().is_empty() {
            text.push_str(&format!("\n{NEGATIVE}{}", self.negative.trim()));
        }
        let pairs: Vec<String> = self
            .pairs
            .iter()
            .map(|(key, value)| format!("{key}: {}", quoted(value)))
            .collect();
        if !pairs.is_empty() {
            text.push('\n');
            text.push_str(&pairs.join(", "));
        }
        Text::new(Self::KEYWORD, text)
    }

    /// Reads such a text. Everything is some text: what has no pairs is all prompt.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (above, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let pairs = pairs(last);
        let (words, pairs) = if pairs.len() >= LEAST_PAIRS {
            (above, pairs)
        } else {
            (text, Vec::new())
        };
        // The negative prompt begins a line.
        let (prompt, negative) = match words.strip_prefix(NEGATIVE) {
            Some(negative) => ("", negative),
            None => words
                .split_once(&format!("\n{NEGATIVE}"))
                .unwrap_or((words, "")),
        };
        Self {
            prompt: prompt.trim().to_owned(),
            negative: negative.trim().to_owned(),
            pairs,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(known, _)| known == key)?;
        Some(&pair.1)
    }
}

fn quoted(value: &str) -> String {
    let special = |char: char| [',', ':', '"'].contains(&char) || char.is_control();
    if value.contains(special) || value.trim() != value {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

/// The pairs of a line, as far as it is made of pairs; none if it is not.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once(':') else {
            return Vec::new();
        };
        let after = after.trim_start();
        let (value, next) = if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let Some(Ok(value)) = values.next() else {
                return Vec::new();
            };
            (value, after[values.byte_offset()..].trim_start())
        } else {
            let end = after.find(',').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        let key = key.trim();
        let plain = |char: char| char.is_alphanumeric() || " -_/".contains(char);
        if key.is_empty() || !key.chars().all(plain) {
            return Vec::new();
        }
        found.push((key.to_owned(), value));
        rest = match next.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if next.is_empty() => next,
            None => return Vec::new(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters(prompt: &str, negative: &str, pairs: &[(&str, &str)]) -> Parameters {
        Parameters {
            prompt: prompt.into(),
            negative: negative.into(),
            pairs: pairs
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        }
    }

    #[test]
    fn the_form_is_the_one_that_other_tools_write() {
        let text = "a cat: orange, big\non a mat\nNegative prompt: a dog\n\
            Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Lora hashes: \"cat: a1b2, mat: c3\", Version: v1.6.0";
        let read = Parameters::parse(text);
        let pairs = [
            ("Steps", "20"),
            ("Sampler", "Euler a"),
            ("CFG scale", "7"),
            ("Seed", "965400086"),
            ("Size", "512x512"),
            ("Lora hashes", "cat: a1b2, mat: c3"),
            ("Version", "v1.6.0"),
        ];
        assert_eq!(
            read,
            parameters("a cat: orange, big\non a mat", "a dog", &pairs)
        );
        assert_eq!(read.to_text().text, text);
        assert_eq!(read.get("Seed"), Some("965400086"));
    }

    #[test]
    fn what_has_no_pairs_is_all_prompt() {
        for text in ["a cat", "", "light: dusk, mood: calm", "one\nSteps: 3"] {
            assert_eq!(Parameters::parse(text), parameters(text, "", &[]));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(prompt in "[a-z ,.:]{0,30}", model in "\\PC{0,12}", seed in any::<u64>()) {
            let seed = seed.to_string();
            let pairs = [("Steps", "4"), ("Seed", seed.as_str()), ("Size", "128x128"), ("Model", model.trim())];
            let written = parameters(prompt.trim(), "", &pairs);
            prop_assert_eq!(Parameters::parse(&written.to_text().text), written);
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            let _ = Parameters::parse(&text);
        }
    }
}
