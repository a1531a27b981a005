//! What is measured: networks of named sizes, described once for both sides as the configuration files that a checkpoint would have.

mod critic;
mod language;
mod renderers;

use anyhow::{Result, ensure};
use serde_json::{Value as Json, json};

/// A network and what it is given.
#[derive(Clone)]
pub struct Case {
    /// For the table.
    pub name: String,
    /// The network's `config.json`; of several networks by the names of their folders.
    pub config: Json,
    /// What is done with it.
    pub work: Work,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// One denoise step: text states, noisy tokens and reference tokens in.
    Step {
        /// Text states.
        text: i64,
        /// Rows of noisy tokens.
        rows: i64,
        /// Columns of noisy tokens.
        columns: i64,
        /// Pictures of the same size that are read, too.
        references: i64,
    },
    /// Latents to pixels.
    Decode {
        /// Pixels.
        side: i64,
    },
    /// Pixels to latents.
    Encode {
        /// Pixels.
        side: i64,
    },
    /// A whole picture: a prompt in, pixels out.
    Picture {
        /// Pixels.
        side: i64,
        /// Denoise steps.
        steps: u32,
        /// It is made from another picture of this size.
        edited: bool,
    },
    /// Texts side by side, the likeliest token each time.
    Write {
        /// How many.
        texts: i64,
        /// Tokens in front of them that were read before.
        behind: i64,
        /// Tokens that each text begins with.
        prompt: i64,
        /// Tokens that are written behind those.
        tokens: i64,
    },
    /// A picture and the first words of answers to questions about it.
    Look {
        /// Pixels.
        side: i64,
        /// Questions.
        questions: usize,
    },
}

impl Work {
    /// As the other side reads it.
    pub fn json(self) -> Json {
        match self {
            Self::Step {
                text,
                rows,
                columns,
                references,
            } => {
                json!({"work": "step", "text": text, "rows": rows, "columns": columns, "references": references})
            }
            Self::Decode { side } => json!({"work": "decode", "side": side}),
            Self::Encode { side } => json!({"work": "encode", "side": side}),
            Self::Picture {
                side,
                steps,
                edited,
            } => {
                json!({"work": "picture", "side": side, "steps": steps, "edited": edited})
            }
            Self::Write {
                texts,
                behind,
                prompt,
                tokens,
            } => {
                json!({"work": "write", "texts": texts, "behind": behind, "prompt": prompt, "tokens": tokens})
            }
            Self::Look { side, .. } => json!({"work": "look", "side": side}),
        }
    }
}

impl Case {
    fn new(name: &str, config: Json, work: Work) -> Self {
        Self {
            name: name.to_owned(),
            config,
            work,
        }
    }
}

/// Names that [`cases`] knows.
pub const CONFIGURATIONS: [&str; 3] = ["tiny", "100m", "4b"];

/// Which networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Transformers and autoencoders.
    Renderer,
    /// All of a renderer, with its text encoder.
    Picture,
    /// Language models.
    Language,
    /// Qwen3-VL.
    Critic,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Renderer, Self::Picture, Self::Language, Self::Critic];

    /// Its name among the options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Renderer => "renderer",
            Self::Picture => "picture",
            Self::Language => "language",
            Self::Critic => "critic",
        }
    }
}

/// The cases of a configuration.
pub fn cases(configuration: &str, parts: &[Part]) -> Result<Vec<Case>> {
    ensure!(
        CONFIGURATIONS.contains(&configuration),
        "unknown configuration {configuration:?}; there are {}",
        CONFIGURATIONS.join(", ")
    );
    let of = |part: &Part| match part {
        Part::Renderer => renderers::cases(configuration),
        Part::Picture => renderers::pictures(configuration),
        Part::Language => language::cases(configuration),
        Part::Critic => critic::cases(configuration),
    };
    Ok(parts.iter().flat_map(of).collect())
}
