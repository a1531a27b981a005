//! The planner: a decoder with its adapter, under the grammar of the prompt.

use std::{path::Path, rc::Rc};

use atelier_engine::planning::Draft;

use super::{
    dialog::Dialog,
    grammar::Schema,
    prompt::readable,
    prompts::PICTURES,
    reasoning::{Reasoned, reason},
    schema::{Binding, schema_naming},
    words::PromptWords,
    writing::Writing,
};
use crate::{
    language::{
        Adapter, Beginning, Cache, Decoder, DecoderConfig, Guide, LanguageError, Next, Sampler,
        Sampling, Tokenizer, Writer,
    },
    weights::Weights,
};

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
#[derive(Clone, Debug, Default)]
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
    /// What it thought before it wrote.
    pub reasoning: String,
    /// Remarks, where it is not the first draft.
    pub notes: Vec<String>,
}

/// How a draft is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    /// Of sampling.
    pub seed: u64,
    /// How freely tokens are drawn; none is the planner's own.
    pub temperature: Option<f64>,
    /// The things that the draft names, in this order; it chooses where there are none.
    pub things: &'a [String],
    /// What was wrong with the picture of an earlier plan; read by planners that are told in words.
    pub findings: &'a [String],
    /// What there are pictures of; read by planners that are told in words.
    pub pictures: &'a [String],
    /// Think in free words first, where the planner can.
    pub reason: bool,
    /// Most tokens of that; none is the planner's own bound.
    pub thought: Option<u32>,
}

/// Drafts prompts. One thread owns it; its weights may be shared.
pub struct Planner {
    decoder: Rc<Decoder>,
    dialog: Dialog,
    binding: Binding,
    temperature: f64,
    /// Tokens without an alternative are read together, not one a pass.
    forcing: bool,
    /// The dialog's beginning.
    beginning: Beginning,
    /// The same, with room for one draft behind it.
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
        Self::of(Rc::new(decoder), Dialog::new(tokenizer)?)
    }

    /// A decoder that was not taught to draft, and may be shared with others: it is told how.
    pub fn instructed(
        decoder: Rc<Decoder>,
        tokenizer: Rc<Tokenizer>,
    ) -> Result<Self, PlannerError> {
        Self::of(decoder, Dialog::instructed(tokenizer)?)
    }

    fn of(decoder: Rc<Decoder>, dialog: Dialog) -> Result<Self, PlannerError> {
        let beginning = Beginning::read(&decoder, &dialog.before)?;
        Ok(Self {
            cache: beginning.cache(),
            beginning,
            decoder,
            dialog,
            binding: Binding::Prompt,
            temperature: 0.0,
            forcing: true,
        })
    }

    /// What drafts may name; by default only what their prompts name.
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.binding = binding;
        self
    }

    /// Whether tokens without an alternative are read together in one pass, as by default; one a pass is slower and drafts the same.
    pub fn with_forcing(mut self, forcing: bool) -> Self {
        self.forcing = forcing;
        self
    }

    /// How freely tokens are drawn; 0, the default, always takes the likeliest and ignores seeds.
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature.max(0.0);
        self
    }

    /// Whether it can think in free words before it drafts.
    pub const fn thinks(&self) -> bool {
        self.dialog.thinks()
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
        let asking = Asking {
            seed,
            ..Asking::default()
        };
        self.draft_as(prompt, &asking, step)
    }

    /// The same, otherwise than by default.
    pub fn draft_as(
        &mut self,
        prompt: &str,
        asking: &Asking<'_>,
        step: &mut dyn FnMut(u32) -> bool,
    ) -> Result<DraftOutput, PlannerError> {
        let asked = self.ask(prompt, asking)?;
        let mut sampler = asked.sampler;
        self.cache.truncate(self.beginning.len());
        // Read by the next pass, all at once.
        let mut unread = asked.tokens[self.beginning.len()..].to_vec();
        let mut reasoned = Reasoned::default();
        if asking.reason && self.dialog.thinks() {
            let (decoder, dialog, cache) = (&self.decoder, &self.dialog, &mut self.cache);
            reasoned = reason(decoder, dialog, cache, &mut unread, asking, step)?;
        }
        let mut writing = Writing::new(&self.dialog, asked.schema.start(), asked.truncated);
        let mut passes = 0;
        loop {
            match writing.next() {
                Next::Given(tokens) if self.forcing => unread.extend(tokens),
                Next::Given(tokens) => {
                    for token in tokens {
                        let _logits = self.decoder.next_logits(&unread, &mut self.cache)?;
                        passes += 1;
                        unread = vec![token];
                    }
                }
                Next::End => {
                    let mut output = writing.finish()?;
                    output.tokens_sampled += reasoned.tokens;
                    output.passes += reasoned.tokens + passes;
                    output.reasoning = reasoned.text;
                    return Ok(output);
                }
                Next::Among(tokens) => {
                    if !step(reasoned.tokens + writing.tokens()) {
                        return Err(PlannerError::Canceled);
                    }
                    let logits = self.decoder.next_logits(&unread, &mut self.cache)?;
                    let token = sampler.pick(&logits, Some(&tokens));
                    writing.wrote(token);
                    unread = vec![token];
                }
                Next::Free => unreachable!("a draft is never free"),
            }
        }
    }

    /// Drafts several prompts side by side, without thinking first: the same drafts as one after another. `step` is told before each pass how
    /// many prompts are not drafted yet and says whether to go on.
    pub fn draft_all(
        &mut self,
        prompts: &[(&str, Asking<'_>)],
        step: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Result<DraftOutput, PlannerError>>, PlannerError> {
        let asked: Vec<Result<Asked, PlannerError>> = prompts
            .iter()
            .map(|(prompt, asking)| {
                let reason = false;
                self.ask(prompt, &Asking { reason, ..*asking })
            })
            .collect();
        let mut writer = Writer::new(&self.decoder, usize::MAX);
        let mut ids = Vec::with_capacity(asked.len());
        for asked in &asked {
            let joined = asked.as_ref().ok().map(|asked| {
                let writing = Writing::new(&self.dialog, asked.schema.start(), asked.truncated);
                let sampler = asked.sampler.clone();
                writer.join(&asked.tokens, Some(&self.beginning), sampler, writing)
            });
            ids.push(joined.transpose()?);
        }
        let mut found: Vec<Option<Result<DraftOutput, PlannerError>>> =
            asked.iter().map(|_| None).collect();
        while !writer.is_empty() {
            if !step(writer.len()) {
                return Err(PlannerError::Canceled);
            }
            for ended in writer.step()? {
                let Some(index) = ids.iter().position(|id| *id == Some(ended.id)) else {
                    continue;
                };
                found[index] = Some(if ended.cut {
                    let most = self.decoder.config().context;
                    let tokens = most + 1;
                    Err(LanguageError::TooLong { tokens, most }.into())
                } else {
                    ended.guide.finish()
                });
            }
        }
        drop(writer);
        let drafts = asked.into_iter().zip(found).map(|(asked, found)| {
            let _asked = asked?;
            found.unwrap_or_else(|| unreachable!("every text that joined has ended"))
        });
        Ok(drafts.collect())
    }

    fn ask(&self, prompt: &str, asking: &Asking<'_>) -> Result<Asked, PlannerError> {
        let (prompt, truncated) = readable(prompt);
        let schema = schema_naming(&PromptWords::read(&prompt), self.binding, asking.things)
            .ok_or(PlannerError::NoWords)?;
        let sampling = Sampling {
            temperature: asking.temperature.unwrap_or(self.temperature),
            ..Sampling::GREEDY
        };
        let mut told = prompt;
        // One that was taught to draft reads nothing but prompts.
        if self.dialog.thinks() {
            told.push_str(&told_beside(asking));
        }
        let mut tokens = self.dialog.before.clone();
        tokens.extend(match asking.reason {
            true => self.dialog.read_to_think(&told)?,
            false => self.dialog.read(&told)?,
        });
        Ok(Asked {
            schema,
            tokens,
            sampler: Sampler::new(sampling, asking.seed)?,
            truncated,
        })
    }
}

/// What a planner that reads words is told beside the prompt.
fn told_beside(asking: &Asking<'_>) -> String {
    let mut told = String::new();
    for (before, words) in [
        (PICTURES, asking.pictures.join(", ")),
        ("The last picture was wrong: ", asking.findings.join(" ")),
    ] {
        let (words, _) = readable(&words);
        if !words.is_empty() {
            told.push_str(&format!("\n{before}{words}"));
        }
    }
    told
}

/// A prompt before it is drafted.
struct Asked {
    schema: Schema,
    tokens: Vec<u32>,
    sampler: Sampler,
    truncated: bool,
}
