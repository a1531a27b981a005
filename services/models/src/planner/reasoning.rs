//! Free thought before a draft, for models that can: so many tokens at most, then the grammar takes over.

use super::{Asking, PlannerError, dialog::Dialog};
use crate::language::{Cache, Decoder, Sampler, Sampling};

/// Most tokens of a thought whose length nobody chose.
pub const MAX_THOUGHT_TOKENS: usize = 512;

/// Tokens that are kept free behind a thought for its draft.
const FOR_THE_DRAFT: usize = 640;

/// Freely, as such models are best drawn from: always the likeliest token ends in circles.
const SAMPLING: Sampling = Sampling {
    temperature: 0.6,
    top_k: 20,
    top_p: 0.95,
};

/// A thought: its text, and how many tokens it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoned {
    pub text: String,
    pub tokens: u32,
}

/// Thinks behind what `cache` holds and `unread` says, until the model ends its thought or has no room left. `unread` is then what is still
/// to be read: the last token and what closes the thought. `step` is told how many tokens there are.
pub fn reason(
    decoder: &Decoder,
    dialog: &Dialog,
    cache: &mut Cache,
    unread: &mut Vec<u32>,
    asking: &Asking<'_>,
    step: &mut dyn FnMut(u32) -> bool,
) -> Result<Reasoned, PlannerError> {
    let mut sampler = Sampler::new(SAMPLING, asking.seed)?;
    let used = cache.len() + unread.len();
    let room = decoder
        .config()
        .context
        .saturating_sub(used + FOR_THE_DRAFT);
    let wanted = asking
        .thought
        .map_or(MAX_THOUGHT_TOKENS, |most| most as usize);
    let most = wanted.min(room);
    let vocabulary = dialog.table.len() as i64;
    let mut bytes = Vec::new();
    let mut tokens = 0_u32;
    while (tokens as usize) < most {
        if !step(tokens) {
            return Err(PlannerError::Canceled);
        }
        let logits = decoder.next_logits(unread, cache)?;
        let rows = logits.size()[0].min(vocabulary);
        let token = sampler.pick(&logits.narrow(0, 0, rows), None);
        unread.clear();
        if dialog.ends_thought(token) {
            break;
        }
        unread.push(token);
        tokens += 1;
        bytes.extend_from_slice(dialog.table.bytes(token));
        if dialog.is_paragraph(&bytes) {
            break;
        }
    }
    unread.extend(dialog.close_thought());
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(Reasoned { text, tokens })
}
