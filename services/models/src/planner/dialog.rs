//! From prompts and drafts to tokens: the same in training and in use.

use std::rc::Rc;

use super::{
    prompts::{PromptFile, qwen3, smollm2},
    tokens::TokenTable,
};
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
    /// How it thinks, if it can.
    thoughts: Option<Thoughts>,
}

/// The tokens around a free thought, which stand between a prompt and its draft.
struct Thoughts {
    open: Vec<u32>,
    close: Vec<u32>,
    /// Tokens that end it.
    ends: Vec<u32>,
    /// It is one paragraph: an empty line ends it.
    paragraph: bool,
}

impl Dialog {
    /// For a model that was taught to draft. The tokenizer knows `<|im_start|>` and `<|im_end|>`. Such a model does not think.
    pub fn new(tokenizer: Rc<Tokenizer>) -> Result<Self, LanguageError> {
        // A role of its own: the adapter is taught what follows it, and needs no instructions.
        Self::of(
            tokenizer,
            "<|im_start|>user\n",
            "<|im_end|>\n<|im_start|>plan\n",
        )
    }

    /// For any other model that writes dialogs in this form, Qwen3 for example, whose thoughts are left empty unless it is asked to think.
    pub fn instructed(tokenizer: Rc<Tokenizer>) -> Result<Self, LanguageError> {
        let thinks = tokenizer.id("<think>").zip(tokenizer.id("</think>"));
        let (file, silent) = match thinks {
            Some(_) => (qwen3(), "<think>\n\n</think>\n\n"),
            None => (smollm2(), ""),
        };
        let before = told(&file, silent);
        let answer = "<|im_end|>\n<|im_start|>assistant\n";
        let mut dialog = Self::of(tokenizer, &before, &format!("{answer}{silent}"))?;
        let ends = dialog.tokenizer.id("<|im_end|>");
        let encode = |text: &str| dialog.tokenizer.encode(text);
        let thoughts = match thinks {
            Some((_, close)) => Thoughts {
                open: encode(&format!("{answer}<think>\n"))?,
                close: encode("\n</think>\n\n")?,
                ends: ends.into_iter().chain([close]).collect(),
                paragraph: false,
            },
            None => Thoughts {
                open: encode(&format!(
                    "\nFirst say in one paragraph which things there are and what is said about each.{answer}"
                ))?,
                close: encode(&format!(
                    "<|im_end|>\n<|im_start|>user\nNow the line of JSON.{answer}"
                ))?,
                ends: ends.into_iter().collect(),
                paragraph: true,
            },
        };
        dialog.thoughts = Some(thoughts);
        Ok(dialog)
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
            thoughts: None,
            tokenizer,
        })
    }

    /// Whether the model can think in free words.
    pub const fn thinks(&self) -> bool {
        self.thoughts.is_some()
    }

    /// Tokens of a prompt up to where its thought begins, without [`Dialog::before`].
    pub fn read_to_think(&self, prompt: &str) -> Result<Vec<u32>, LanguageError> {
        let mut tokens = self.tokenizer.encode_plain(prompt)?;
        let thoughts = self.thoughts.as_ref();
        tokens.extend(thoughts.map_or(&self.after, |thoughts| &thoughts.open));
        Ok(tokens)
    }

    /// Whether a token ends a thought.
    pub fn ends_thought(&self, token: u32) -> bool {
        let thoughts = self.thoughts.as_ref();
        thoughts.is_some_and(|thoughts| thoughts.ends.contains(&token))
    }

    /// Whether what was thought is complete without such a token.
    pub fn is_paragraph(&self, thought: &[u8]) -> bool {
        let thoughts = self.thoughts.as_ref();
        thoughts.is_some_and(|thoughts| {
            thoughts.paragraph && thought.ends_with(b"\n\n") && !thought.trim_ascii().is_empty()
        })
    }

    /// What stands between a thought and its draft.
    pub fn close_thought(&self) -> &[u32] {
        let thoughts = self.thoughts.as_ref();
        thoughts.map_or(&[], |thoughts| &thoughts.close)
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

/// Instructions and examples as a dialog, up to where the next prompt begins.
fn told(file: &PromptFile, silent: &str) -> String {
    let mut text = format!(
        "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n",
        file.instructions
    );
    for (asked, answer) in &file.examples {
        text.push_str(&format!(
            "{asked}<|im_end|>\n<|im_start|>assistant\n{silent}{answer}<|im_end|>\n<|im_start|>user\n"
        ));
    }
    text
}
