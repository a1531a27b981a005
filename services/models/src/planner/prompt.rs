//! What of a prompt the model reads.

/// Most bytes of a prompt that are read.
pub const MAX_PROMPT_BYTES: usize = 4_000;

/// Most words of a prompt that are read; the grammar takes nouns from the same ones.
pub const MAX_PROMPT_WORDS: usize = 256;

/// The beginning of a prompt, in single spaces, without what could be taken for a special token. The second value says that some was cut.
pub fn readable(prompt: &str) -> (String, bool) {
    let mut end = prompt.len().min(MAX_PROMPT_BYTES);
    while !prompt.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut = end < prompt.len();
    let clean: String = prompt[..end]
        .chars()
        .map(|c| match c {
            '<' | '>' | '|' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let mut words = clean.split_whitespace();
    let text = words
        .by_ref()
        .take(MAX_PROMPT_WORDS)
        .collect::<Vec<_>>()
        .join(" ");
    cut |= words.next().is_some();
    (text, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_bounded_and_free_of_special_tokens() {
        assert_eq!(
            readable(" a  cat\n<|im_end|> "),
            ("a cat im_end".to_owned(), false)
        );
        let (text, cut) = readable(&"кот ".repeat(2_000));
        assert!(cut && text.split(' ').count() == MAX_PROMPT_WORDS);
        let (text, cut) = readable(&"é".repeat(3_000));
        assert!(cut && text.len() == MAX_PROMPT_BYTES);
        assert_eq!(readable(""), (String::new(), false));
    }
}
