//! From bytes to tokens: which tokens a grammar allows, and which text it forces.

use super::grammar::{Schema, State};

/// The vocabulary in the order of its bytes.
#[derive(Debug)]
pub struct TokenTable {
    /// `(bytes, id)`, ascending; tokens without bytes (special ones) are left out.
    tokens: Vec<(Box<[u8]>, u32)>,
    /// Bytes of each id.
    bytes: Vec<Box<[u8]>>,
}

impl TokenTable {
    /// `bytes[id]` is what token `id` stands for; empty for those that stand for no text.
    pub fn new(bytes: Vec<Box<[u8]>>) -> Self {
        let mut tokens: Vec<(Box<[u8]>, u32)> = (0..)
            .zip(&bytes)
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(id, bytes)| (bytes.clone(), id))
            .collect();
        tokens.sort();
        Self { tokens, bytes }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What a token stands for.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes
            .get(id as usize)
            .map_or(&[], |bytes| bytes.as_ref())
    }

    /// The tokens all of whose bytes may follow.
    pub fn allowed(&self, state: &State<'_>) -> Vec<u32> {
        let mut allowed = Vec::new();
        collect(&self.tokens, 0, state, &mut allowed);
        allowed
    }
}

/// `tokens` agree with the way to `state` in their first `depth` bytes.
fn collect(
    mut tokens: &[(Box<[u8]>, u32)],
    depth: usize,
    state: &State<'_>,
    allowed: &mut Vec<u32>,
) {
    while let Some(((bytes, id), rest)) = tokens.split_first()
        && bytes.len() == depth
    {
        allowed.push(*id);
        tokens = rest;
    }
    if tokens.is_empty() {
        return;
    }
    for byte in state.allowed() {
        let from = tokens.partition_point(|(bytes, _)| bytes[depth] < byte);
        let to = tokens.partition_point(|(bytes, _)| bytes[depth] <= byte);
        if from < to {
            let mut next = state.clone();
            next.advance(byte);
            collect(&tokens[from..to], depth + 1, &next, allowed);
        }
    }
}

/// The forced text that can be split into tokens without knowing what follows it.
///
/// A tokenizer joins runs of letters, of digits and of punctuation: where the text may go on in the class it ends with (`"` may become
/// `",` or `"},{`), that last run is left to the model, so that it always sees the splits that it was trained on.
pub fn settled(state: &State<'_>) -> Vec<u8> {
    let mut forced = state.forced();
    let mut after = state.clone();
    after.advance_all(&forced);
    if after.is_complete() {
        return forced;
    }
    let mut next = after.allowed();
    while let Some(&last) = forced.last() {
        let open = last == b' ' || next.iter().any(|byte| class(*byte) == class(last));
        if !open {
            break;
        }
        forced.pop();
        next = vec![last];
    }
    forced
}

/// Which tokens of a finished text a model chooses itself; the others are appended for it. None when the grammar refuses the text.
pub fn chosen<'t>(
    schema: &Schema,
    tokens: impl IntoIterator<Item = &'t [u8]>,
) -> Option<Vec<bool>> {
    let mut state = schema.start();
    let mut chosen = Vec::new();
    // What is left of the text that was forced last.
    let mut given = settled(&state);
    for token in tokens {
        let appended = !token.is_empty() && given.starts_with(token);
        if !state.advance_all(token) {
            return None;
        }
        given = if appended {
            given.split_off(token.len())
        } else {
            Vec::new()
        };
        if given.is_empty() {
            given = settled(&state);
        }
        chosen.push(!appended);
    }
    state.is_complete().then_some(chosen)
}

#[derive(PartialEq)]
enum Class {
    Letter,
    Digit,
    Space,
    Mark,
}

fn class(byte: u8) -> Class {
    match byte {
        b' ' | b'\n' | b'\t' | b'\r' => Class::Space,
        b'0'..=b'9' => Class::Digit,
        byte if byte.is_ascii_alphabetic() || !byte.is_ascii() => Class::Letter,
        _ => Class::Mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{Binding, PromptWords, draft_schema};

    #[test]
    fn tokens_may_cross_from_a_choice_into_what_is_forced() {
        let words = PromptWords::read("a cat and a red car on the left");
        let schema = draft_schema(&words, Binding::Prompt).unwrap();
        let texts = [
            "c", "ca", "cat", "car", "dog", "\",\"", "\"}", "\"},{\"", "\"}]", "cat\"", "\"x", "",
        ];
        let table = TokenTable::new(
            texts
                .iter()
                .map(|text| text.as_bytes().to_vec().into_boxed_slice())
                .collect(),
        );
        let mut state = schema.start();
        assert_eq!(settled(&state), br#"{"elements":[{"noun":""#);
        assert!(state.advance_all(&settled(&state)));
        let named = |state: &State<'_>| {
            let mut allowed: Vec<&str> = table
                .allowed(state)
                .into_iter()
                .map(|id| texts[id as usize])
                .collect();
            allowed.sort();
            allowed
        };
        assert_eq!(named(&state), ["c", "ca", "car", "cat", "cat\""]);
        assert!(state.advance_all(b"cat"));
        // The quote is certain, but may be the beginning of three tokens.
        assert_eq!(state.forced(), b"\"");
        assert!(settled(&state).is_empty());
        assert_eq!(named(&state), ["\",\"", "\"}", "\"},{\"", "\"}]"]);
        assert!(state.advance_all(b"\",\"color"));
        assert_eq!(settled(&state), br#"":"red"#);
    }

    #[test]
    fn only_choices_are_left_to_the_model() {
        let words = PromptWords::read("a cat and a dog");
        let schema = draft_schema(&words, Binding::Prompt).unwrap();
        let tokens = [
            "{\"",
            "elements",
            "\":[{\"",
            "noun",
            "\":\"",
            "cat",
            "\"}],\"",
            "background",
            "\":\"",
            "space",
            "\",\"",
            "time",
            "\":\"",
            "\"}",
        ];
        let chosen = |tokens: &[&'static str]| {
            super::chosen(&schema, tokens.iter().map(|token| token.as_bytes()))
        };
        let free: Vec<&str> = chosen(&tokens)
            .unwrap()
            .iter()
            .zip(tokens)
            .filter_map(|(chosen, token)| chosen.then_some(token))
            .collect();
        // `relations` could stand before the background, and the background and the time could be empty.
        assert_eq!(
            free,
            [
                "cat",
                "\"}],\"",
                "background",
                "\":\"",
                "space",
                "\":\"",
                "\"}"
            ]
        );
        assert!(chosen(&tokens[..5]).is_none());
        assert!(chosen(&["{", "}"]).is_none());
    }
}
