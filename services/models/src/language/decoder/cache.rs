//! Keys and values of the tokens that were read so far, of one text.

use tch::Tensor;

use super::Memory;

/// Smallest room that is made, in tokens.
const ROOM: i64 = 256;

/// Keys and values of one text, for every layer. Room grows by doubling, so that a token costs no copy of all before it.
#[derive(Default)]
pub struct Cache {
    /// Per layer keys and values `(1, kv heads, room, head)`.
    layers: Vec<(Tensor, Tensor)>,
    length: i64,
}

impl Cache {
    /// Tokens in it.
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether nothing was read yet.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets all but the first `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(i64::try_from(length).unwrap_or(i64::MAX));
    }

    /// A cache of its own with the same tokens, for example behind a beginning that many texts share.
    pub fn copy(&self) -> Self {
        let copy = |tensor: &Tensor| tensor.copy();
        Self {
            layers: self
                .layers
                .iter()
                .map(|(k, v)| (copy(k), copy(v)))
                .collect(),
            length: self.length,
        }
    }

    /// Keys and values `(1, kv heads, tokens, head)` of a layer; None before anything was read.
    pub(super) fn layer(&self, layer: usize) -> Option<(Tensor, Tensor)> {
        let (keys, values) = self.layers.get(layer)?;
        let read = |all: &Tensor| all.narrow(2, 0, self.length);
        Some((read(keys), read(values)))
    }

    /// Counts tokens whose keys and values every layer has.
    pub(super) const fn add(&mut self, tokens: i64) {
        self.length += tokens;
    }
}

impl Memory for Cache {
    /// Counts once the tokens are added.
    fn extend(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let added = k.size()[2];
        let end = self.length + added;
        if self.layers.len() <= layer {
            self.layers.push((k.narrow(2, 0, 0), v.narrow(2, 0, 0)));
        }
        let (keys, values) = &mut self.layers[layer];
        for (all, new) in [(&mut *keys, k), (&mut *values, v)] {
            if all.size()[2] < end {
                *all = grown(all, self.length, end);
            }
            all.narrow(2, self.length, added).copy_(new);
        }
        (keys.narrow(2, 0, end), values.narrow(2, 0, end))
    }
}

/// A tensor of more room that begins with the first `used` tokens.
fn grown(tensor: &Tensor, used: i64, end: i64) -> Tensor {
    let mut size = tensor.size();
    size[2] = end.max(2 * size[2]).max(ROOM);
    let larger = Tensor::zeros(&size, (tensor.kind(), tensor.device()));
    if used > 0 {
        larger.narrow(2, 0, used).copy_(&tensor.narrow(2, 0, used));
    }
    larger
}
