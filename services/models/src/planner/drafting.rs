//! The planner: a decoder with its adapter, under the grammar of the prompt.

use std::{path::Path, rc::Rc};

use atelier_engine::planning::Draft;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::{
    dialog::Dialog,
    prompt::readable,
    schema::{Binding, draft_schema},
    tokens::settled,
    words::PromptWords,
};
use crate::{
    language::{Adapter, Cache, Decoder, DecoderConfig, LanguageError, Tokenizer},
    weights::Weights,
};

/// Most tokens of a draft; the grammar's own bounds keep drafts far below it.
const MAX_DRAFT_TOKENS: u32 = 768;

/// Why there is no draft.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// The prompt has not one word.
    #[error("the prompt has no words")]
    NoWords,
    /// The caller said so.
    #[error("canceled")]
    Canceled,
    /// The draft did not end.
    #[error("the draft is not finished after {0} tokens")]
    TooLong(u32),
    /// The tokenizer lacks what drafts are made of.
    #[error("the model has no token that may follow {0:?}")]
    Stuck(String),
    /// What the grammar accepts is a draft; anything else is a defect.
    #[error("the model wrote no draft: {0}")]
    NoDraft(#[from] serde_json::Error),
    /// The decoder or its files.
    #[error(transparent)]
    Language(#[from] LanguageError),
}

/// A draft and how it came about.
#[derive(Clone, Debug)]
pub struct DraftOutput {
    /// What the model wrote.
    pub draft: Draft,
    /// The same as it wrote it: compact JSON.
    pub text: String,
    /// Tokens that the model chose.
    pub tokens_sampled: u32,
    /// Tokens that had no alternative.
    pub tokens_forced: u32,
    /// Passes through the decoder.
    pub passes: u32,
    /// The prompt was longer than what the model reads.
    pub truncated: bool,
}

/// Drafts prompts. One thread owns it; its weights may be shared.
pub struct Planner {
    decoder: Decoder,
    dialog: Dialog,
    binding: Binding,
    temperature: f64,
    /// Keys and values of the dialog's beginning, and during a draft of all before the next pass.
    cache: Cache,
}

impl Planner {
    /// A decoder of `weights` (shared, not copied, with others that were loaded from them) under the adapter in the folder `adapter`.
    pub fn new(
        config: DecoderConfig,
        weights: &Weights,
        tokenizer: Rc<Tokenizer>,
        adapter: &Path,
    ) -> Result<Self, PlannerError> {
        let like = weights
            .get("model.embed_tokens.weight")
            .map_err(LanguageError::from)?;
        let adapter = Adapter::load_dir(adapter)?.like(&like);
        let decoder =
            Decoder::load(config, weights, Some(&adapter)).map_err(LanguageError::from)?;
        adapter.refuse_extra().map_err(LanguageError::from)?;
        let dialog = Dialog::new(tokenizer)?;
        let mut cache = Cache::default();
        let _states = decoder.forward(&dialog.before, &mut cache)?;
        Ok(Self {
            decoder,
            dialog,
            binding: Binding::Prompt,
            temperature: 0.0,
            cache,
        })
    }

    /// What drafts may name; by default only what their prompts name.
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.binding = binding;
        self
    }

    /// How freely tokens are drawn; 0, the default, always takes the likeliest and ignores seeds.
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature.max(0.0);
        self
    }

    /// Drafts a prompt. `step` is told before each pass how many tokens there are so far and says whether to go on.
    ///
    /// Of a long prompt the beginning is read. The draft is valid whatever the prompt says.
    pub fn draft(
        &mut self,
        prompt: &str,
        seed: u64,
        step: &mut dyn FnMut(u32) -> bool,
    ) -> Result<DraftOutput, PlannerError> {
        let (prompt, truncated) = readable(prompt);
        let schema =
            draft_schema(&PromptWords::read(&prompt), self.binding).ok_or(PlannerError::NoWords)?;
        self.cache.truncate(self.dialog.before.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut state = schema.start();
        let mut text = Vec::new();
        let (mut tokens_sampled, mut tokens_forced, mut passes) = (0, 0, 0);
        // Read by the next pass, all at once.
        let mut unread = self.dialog.read(&prompt)?;
        while !state.is_complete() {
            let given = settled(&state);
            if !given.is_empty() {
                let tokens = self.dialog.written(&String::from_utf8_lossy(&given))?;
                tokens_forced += tokens.len() as u32;
                unread.extend(tokens);
                state.advance_all(&given);
                text.extend(given);
                continue;
            }
            let allowed = self.dialog.table.allowed(&state);
            let token = match allowed[..] {
                [] => {
                    return Err(PlannerError::Stuck(
                        String::from_utf8_lossy(&text).into_owned(),
                    ));
                }
                [only] => {
                    tokens_forced += 1;
                    only
                }
                _ => {
                    if !step(tokens_sampled + tokens_forced) {
                        return Err(PlannerError::Canceled);
                    }
                    let logits = self.decoder.next_logits(&unread, &mut self.cache)?;
                    unread.clear();
                    passes += 1;
                    tokens_sampled += 1;
                    pick(&logits, &allowed, self.temperature, &mut rng)
                }
            };
            let bytes = self.dialog.table.bytes(token);
            state.advance_all(bytes);
            text.extend(bytes);
            unread.push(token);
            if tokens_sampled + tokens_forced > MAX_DRAFT_TOKENS {
                return Err(PlannerError::TooLong(MAX_DRAFT_TOKENS));
            }
        }
        let draft = serde_json::from_slice(&text)?;
        Ok(DraftOutput {
            draft,
            text: String::from_utf8_lossy(&text).into_owned(),
            tokens_sampled,
            tokens_forced,
            passes,
            truncated,
        })
    }
}

/// One of the allowed tokens by its logit; `allowed` is not empty.
fn pick(logits: &Tensor, allowed: &[u32], temperature: f64, rng: &mut ChaCha8Rng) -> u32 {
    let ids: Vec<i64> = allowed.iter().map(|id| i64::from(*id)).collect();
    let among = logits.index_select(0, &Tensor::from_slice(&ids).to_device(logits.device()));
    if temperature == 0.0 {
        return allowed[among.argmax(0, false).int64_value(&[]) as usize];
    }
    let shares = (among / temperature)
        .softmax(0, Kind::Float)
        .cumsum(0, Kind::Float);
    let point = rng.random::<f64>();
    let below = shares.lt(point).sum(Kind::Int64).int64_value(&[]) as usize;
    allowed[below.min(allowed.len() - 1)]
}
