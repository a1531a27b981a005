//! Keys and values of a picture, which all questions about it begin with.

use tch::Tensor;

use crate::language::Memory;

/// Keys and values `(1, kv heads, n, head)` of every layer, written in one pass.
#[derive(Default)]
pub struct Prefix {
    layers: Vec<(Tensor, Tensor)>,
}

impl Memory for Prefix {
    fn extend(&mut self, _layer: usize, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        self.layers.push((k.shallow_clone(), v.shallow_clone()));
        (k.shallow_clone(), v.shallow_clone())
    }
}

/// Texts behind a prefix, side by side. The prefix itself is never changed.
pub struct Suffix<'p> {
    prefix: &'p Prefix,
    /// Tokens of the prefix and of what was kept behind it.
    past: usize,
    /// What was read behind the prefix in earlier passes.
    kept: Vec<(Tensor, Tensor)>,
    /// What this pass adds to that.
    grown: Vec<(Tensor, Tensor)>,
}

impl<'p> Suffix<'p> {
    /// Behind a prefix of so many tokens.
    pub const fn new(prefix: &'p Prefix, past: usize) -> Self {
        Self {
            prefix,
            past,
            kept: Vec::new(),
            grown: Vec::new(),
        }
    }

    /// Tokens so far.
    pub const fn past(&self) -> usize {
        self.past
    }

    /// What the last pass read, so many tokens without padding, stands in front of the next.
    pub fn keep(&mut self, tokens: usize) {
        self.past += tokens;
        self.kept = std::mem::take(&mut self.grown);
    }
}

impl Memory for Suffix<'_> {
    fn extend(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let own = match self.kept.get(layer) {
            Some((keys, values)) => (Tensor::cat(&[keys, k], 2), Tensor::cat(&[values, v], 2)),
            None => (k.shallow_clone(), v.shallow_clone()),
        };
        let texts = k.size()[0];
        let (keys, values) = &self.prefix.layers[layer];
        let behind = |shared: &Tensor, own: &Tensor| {
            let shared = shared.expand([texts, -1, -1, -1], false);
            Tensor::cat(&[&shared, own], 2)
        };
        let all = (behind(keys, &own.0), behind(values, &own.1));
        self.grown.push(own);
        all
    }
}
