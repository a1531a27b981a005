//! Shape of a decoder, from GGUF metadata or from a Hugging Face config.json.

mod gguf;
mod hugging_face;
#[cfg(test)]
mod tests;

use super::rope::Rope;

/// Largest of any size: far above every known model, small enough that products of two fit.
const MAX_SIZE: i64 = 1 << 24;
/// Most layers.
const MAX_LAYERS: i64 = 1024;

/// Shape of a Llama, Qwen2 or Qwen3 decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// Tokens it knows.
    pub vocabulary: i64,
    /// Width of the residual stream.
    pub hidden: i64,
    /// Width inside the gated layers.
    pub intermediate: i64,
    /// Blocks.
    pub layers: i64,
    /// Query heads.
    pub heads: i64,
    /// Key and value heads.
    pub kv_heads: i64,
    /// Width of a head.
    pub head: i64,
    /// Of the norms.
    pub eps: f64,
    /// How positions turn queries and keys.
    pub rope: Rope,
    /// Queries and keys are normed (Qwen3).
    pub qk_norm: bool,
    /// Which projections have one.
    pub biases: Biases,
    /// The output layer is the embedding.
    pub tied: bool,
    /// Most tokens it reads.
    pub context: usize,
}

/// Projections that add a bias.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Biases {
    /// Of queries, keys and values (Qwen2).
    pub qkv: bool,
    /// Behind the attention.
    pub output: bool,
    /// Of the gated layers.
    pub mlp: bool,
}

impl DecoderConfig {
    /// What is wrong with it, as a sentence.
    fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("intermediate size", self.intermediate),
            ("heads", self.heads),
            ("key and value heads", self.kv_heads),
            ("head size", self.head),
            ("context", i64::try_from(self.context).unwrap_or(i64::MAX)),
        ];
        if let Some((what, size)) = sizes
            .iter()
            .find(|(_, size)| !(1..=MAX_SIZE).contains(size))
        {
            return Err(format!("a {what} of {size}"));
        }
        if !(1..=MAX_LAYERS).contains(&self.layers) {
            return Err(format!("{} layers", self.layers));
        }
        if self.heads % self.kv_heads != 0 || self.head % 2 != 0 {
            return Err(format!(
                "{} heads of {} with {} for keys and values",
                self.heads, self.head, self.kv_heads
            ));
        }
        if !(self.eps > 0.0 && self.eps <= 1.0) {
            return Err(format!("a norm's epsilon of {}", self.eps));
        }
        self.rope.check()
    }
}
