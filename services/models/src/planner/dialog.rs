//! From prompts and drafts to tokens: the same in training and in use.

use std::rc::Rc;

use super::tokens::TokenTable;
use crate::language::{LanguageError, Tokenizer};

/// What a model is told that was not taught to draft; the grammar sees to the form.
const INSTRUCTIONS: &str = r#"You read what a picture shall show and answer with one line of JSON: the things that are named, in the same words, with what is said about them.
For "two small red apples left of a cup, at night" you answer
{"elements":[{"noun":"apples","count":2,"color":"red","size":"small"},{"noun":"cup"}],"relations":[["apples","left_of","cup"]],"time":"night"}"#;

/// The tokens of a planner's dialog.
pub struct Dialog {
    tokenizer: Rc<Tokenizer>,
    /// What each token stands for.
    pub table: TokenTable,
    /// Before every prompt; its keys and values are computed once.
    pub before: Vec<u32>,
    /// Between a prompt and its draft.
    after: Vec<u32>,
}

impl Dialog {
    /// For a model that was taught to draft. The tokenizer knows `<|im_start|>` and `<|im_end|>`.
    pub fn new(tokenizer: Rc<Tokenizer>) -> Result<Self, LanguageError> {
        // A role of its own: the adapter is taught what follows it, and needs no instructions.
        Self::of(
            tokenizer,
            "<|im_start|>user\n",
            "<|im_end|>\n<|im_start|>plan\n",
        )
    }

    /// For any other model that writes dialogs in this form, Qwen3 for example, whose thoughts are left empty.
    pub fn instructed(tokenizer: Rc<Tokenizer>) -> Result<Self, LanguageError> {
        let before = format!("<|im_start|>system\n{INSTRUCTIONS}<|im_end|>\n<|im_start|>user\n");
        let thoughts = match tokenizer.id("<think>") {
            Some(_) => "<think>\n\n</think>\n\n",
            None => "",
        };
        let after = format!("<|im_end|>\n<|im_start|>assistant\n{thoughts}");
        Self::of(tokenizer, &before, &after)
    }

    fn of(tokenizer: Rc<Tokenizer>, before: &str, after: &str) -> Result<Self, LanguageError> {
        for special in ["<|im_start|>", "<|im_end|>"] {
            if tokenizer.id(special).is_none() {
                return Err(LanguageError::Tokenizer(format!("it has no {special}")));
            }
        }
        Ok(Self {
            table: TokenTable::new(tokenizer.token_bytes()),
            before: tokenizer.encode(before)?,
            after: tokenizer.encode(after)?,
            tokenizer,
        })
    }

    /// Tokens of a draft or a part of one.
    pub fn written(&self, text: &str) -> Result<Vec<u32>, LanguageError> {
        self.tokenizer.encode_plain(text)
    }

    /// Tokens of a prompt up to where its draft begins, without [`Dialog::before`].
    pub fn read(&self, prompt: &str) -> Result<Vec<u32>, LanguageError> {
        let mut tokens = self.tokenizer.encode_plain(prompt)?;
        tokens.extend(&self.after);
        Ok(tokens)
    }
}
