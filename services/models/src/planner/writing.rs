//! A draft while it is written: the guide that turns the grammar of a prompt into tokens.

use super::{PlannerError, dialog::Dialog, drafting::DraftOutput, grammar::State, tokens::settled};
use crate::language::{Guide, LanguageError, Next};

/// Most tokens of a draft; the grammar's own bounds keep drafts far below it.
const MAX_DRAFT_TOKENS: u32 = 768;

/// One draft. Never free: what may follow is certain, or one of some tokens.
pub(super) struct Writing<'s> {
    dialog: &'s Dialog,
    state: State<'s>,
    text: Vec<u8>,
    sampled: u32,
    forced: u32,
    truncated: bool,
    failed: Option<PlannerError>,
}

impl<'s> Writing<'s> {
    /// Before its first byte; `truncated` as it will be told.
    pub(super) fn new(dialog: &'s Dialog, state: State<'s>, truncated: bool) -> Self {
        Self {
            dialog,
            state,
            text: Vec::new(),
            sampled: 0,
            forced: 0,
            truncated,
            failed: None,
        }
    }

    /// Tokens so far.
    pub(super) const fn tokens(&self) -> u32 {
        self.sampled + self.forced
    }

    /// What has become of it, once there is nothing more to write.
    pub(super) fn finish(self) -> Result<DraftOutput, PlannerError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let draft = serde_json::from_slice(&self.text)?;
        Ok(DraftOutput {
            draft,
            text: String::from_utf8_lossy(&self.text).into_owned(),
            tokens_sampled: self.sampled,
            tokens_forced: self.forced,
            // Every token that is drawn takes a pass, and no other does.
            passes: self.sampled,
            truncated: self.truncated,
            ..DraftOutput::default()
        })
    }

    fn given(&mut self) -> Result<Option<Vec<u32>>, LanguageError> {
        let given = settled(&self.state);
        if given.is_empty() {
            return Ok(None);
        }
        let tokens = self.dialog.written(&String::from_utf8_lossy(&given))?;
        self.forced += tokens.len() as u32;
        self.append(&given);
        Ok(Some(tokens))
    }

    fn append(&mut self, bytes: &[u8]) {
        self.state.advance_all(bytes);
        self.text.extend(bytes);
    }

    fn fail(&mut self, failed: PlannerError) -> Next {
        self.failed = Some(failed);
        Next::End
    }
}

impl Guide for Writing<'_> {
    fn next(&mut self) -> Next {
        if self.failed.is_some() || self.state.is_complete() {
            return Next::End;
        }
        if self.tokens() > MAX_DRAFT_TOKENS {
            return self.fail(PlannerError::TooLong(MAX_DRAFT_TOKENS));
        }
        match self.given() {
            Err(error) => return self.fail(error.into()),
            Ok(Some(tokens)) => return Next::Given(tokens),
            Ok(None) => {}
        }
        let dialog = self.dialog;
        match dialog.table.allowed(&self.state) {
            allowed if allowed.is_empty() => {
                let text = String::from_utf8_lossy(&self.text).into_owned();
                self.fail(PlannerError::Stuck(text))
            }
            allowed if allowed.len() == 1 => {
                self.forced += 1;
                self.append(dialog.table.bytes(allowed[0]));
                Next::Given(allowed)
            }
            allowed => Next::Among(allowed),
        }
    }

    fn wrote(&mut self, token: u32) {
        self.sampled += 1;
        let dialog = self.dialog;
        self.append(dialog.table.bytes(token));
    }
}
