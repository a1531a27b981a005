//! From prompts and drafts to tokens: the same in training and in use.

use std::rc::Rc;

use super::tokens::TokenTable;
use crate::language::{LanguageError, Tokenizer};

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
    /// With a tokenizer that knows `<|im_start|>` and `<|im_end|>`.
    pub fn new(tokenizer: Rc<Tokenizer>) -> Result<Self, LanguageError> {
        for special in ["<|im_start|>", "<|im_end|>"] {
            if tokenizer.id(special).is_none() {
                return Err(LanguageError::Tokenizer(format!("it has no {special}")));
            }
        }
        Ok(Self {
            table: TokenTable::new(tokenizer.token_bytes()),
            before: tokenizer.encode("<|im_start|>user\n")?,
            // A role of its own: the adapter is taught what follows it, and needs no instructions.
            after: tokenizer.encode("<|im_end|>\n<|im_start|>plan\n")?,
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
