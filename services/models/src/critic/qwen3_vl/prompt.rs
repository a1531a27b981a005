//! The dialog about a picture, as the checkpoint's own template writes it. What comes from outside never becomes a special token.

use std::path::Path;

use super::Qwen3VlError;
use crate::language::{ChatTemplate, LanguageError, Message, Tokenizer};

/// Where a picture is shown.
const PICTURE: &str = "<|vision_start|><|image_pad|><|vision_end|>";
/// Stands for the question while the template is run; no template has such a word.
const QUESTION: &str = "q-u-e-s-t-i-o-n";

/// How dialogs about one picture begin and end.
pub struct Prompt {
    /// Up to the picture's own tokens.
    head: Vec<u32>,
    /// Between picture and question.
    middle: Vec<u32>,
    /// Behind the question: the answer begins.
    tail: Vec<u32>,
    image_token: u32,
    /// The whole with a place for the question.
    text: String,
    /// Tokens that end an answer.
    ends: Vec<u32>,
}

impl Prompt {
    /// Runs the template of a checkpoint's folder.
    pub fn load(dir: &Path, tokenizer: &Tokenizer, image_token: u32) -> Result<Self, Qwen3VlError> {
        let template = ChatTemplate::of_dir(dir)?
            .ok_or_else(|| LanguageError::Template(format!("{} has none", dir.display())))?;
        let message = Message {
            role: "user",
            content: format!("{PICTURE}{QUESTION}"),
        };
        let text = template.render(&[message], true)?;
        let parts = text
            .split_once(QUESTION)
            .and_then(|(before, tail)| Some((before, tail, before.find(PICTURE)?)));
        let wrong = |what: &str| LanguageError::Template(what.to_owned());
        let (before, tail, _) =
            parts.ok_or_else(|| wrong("it changes what is said, or leaves the picture out"))?;
        let before = tokenizer.encode(before)?;
        let pads: Vec<usize> = before
            .iter()
            .enumerate()
            .filter_map(|(at, token)| (*token == image_token).then_some(at))
            .collect();
        let &[at] = &pads[..] else {
            let what = format!("its text has {} places for a picture, not one", pads.len());
            return Err(LanguageError::Template(what).into());
        };
        let end = |name: &&str| tokenizer.id(name);
        Ok(Self {
            head: before[..at].to_vec(),
            middle: before[at + 1..].to_vec(),
            tail: tokenizer.encode(tail)?,
            image_token,
            ends: ["<|im_end|>", "<|endoftext|>"]
                .iter()
                .filter_map(end)
                .collect(),
            text,
        })
    }

    /// The text of a dialog, the picture as one token.
    pub fn text(&self, question: &str) -> String {
        self.text.replacen(QUESTION, question, 1)
    }

    /// Index of the picture's first token.
    pub const fn first_of_picture(&self) -> usize {
        self.head.len()
    }

    /// Everything up to the question, for a picture of so many tokens.
    pub fn before(&self, picture: usize) -> Vec<u32> {
        let mut tokens = self.head.clone();
        tokens.resize(self.head.len() + picture, self.image_token);
        tokens.extend(&self.middle);
        tokens
    }

    /// A question and what stands behind it.
    pub fn after(&self, tokenizer: &Tokenizer, question: &str) -> Result<Vec<u32>, LanguageError> {
        let mut tokens = tokenizer.encode_plain(question)?;
        tokens.extend(&self.tail);
        Ok(tokens)
    }

    /// Whether an answer ends with this token.
    pub fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }
}
