//! What a transformer reads in one pass, whatever its family.

use tch::Tensor;

/// What one pass reads. `B` pictures, `N` noisy tokens, `R` reference tokens, `T` text states, `S = T + N + R`.
pub struct TransformerInput<'a> {
    /// Noisy tokens `(B, N, in_channels)`.
    pub noisy: &'a Tensor,
    /// Clean tokens of references, `(B, R, in_channels)`.
    pub reference: Option<&'a Tensor>,
    /// Text states `(B, T, text_channels)`.
    pub text: &'a Tensor,
    /// Times in 0..1, 1 is pure noise: `(B)`.
    pub times: &'a Tensor,
    /// Positions of noisy, then reference tokens: `(B or 1, N + R, 4)`.
    pub image_ids: &'a Tensor,
    /// Positions of text states: `(B or 1, T, 4)`.
    pub text_ids: &'a Tensor,
    /// Added to the attention's logits: `(B or 1, 1, S or 1, S)`, order text, noisy, reference.
    pub bias: Option<&'a Tensor>,
    /// Where the bias holds; none is in every block.
    pub layers: Option<Layers<'a>>,
}

/// The blocks that have [`TransformerInput::bias`], and what the others have in its place.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// From and to, as shares of all blocks that see text and picture together, in their order.
    pub share: [f32; 2],
    /// The bias of the others, of the same shape.
    pub elsewhere: Option<&'a Tensor>,
}

/// What is added to the logits in each of the blocks that see text and picture together.
pub(super) struct BlockBiases {
    chosen: Option<Tensor>,
    others: Option<Tensor>,
    /// The chosen blocks, from and to, as shares of all.
    share: [f32; 2],
    blocks: usize,
}

impl BlockBiases {
    /// Those of a pass through `blocks` blocks, each made `ready` for attention once.
    pub fn of(
        input: &TransformerInput<'_>,
        blocks: usize,
        ready: impl Fn(&Tensor) -> Tensor,
    ) -> Self {
        let all = Layers {
            share: [0.0, 1.0],
            elsewhere: None,
        };
        let layers = input.layers.unwrap_or(all);
        Self {
            chosen: input.bias.map(&ready),
            others: layers.elsewhere.map(&ready),
            share: layers.share,
            blocks,
        }
    }

    /// That of block `index`.
    pub fn at(&self, index: usize) -> Option<&Tensor> {
        let place = index as f32 / self.blocks.max(1) as f32;
        let [from, to] = self.share;
        let bias = if (from..to).contains(&place) {
            &self.chosen
        } else {
            &self.others
        };
        bias.as_ref()
    }
}

/// Is shown tensors on the way through a network by name and number (of the block): for tests and measurements.
pub type Observe<'a> = &'a mut dyn FnMut(&'static str, usize, &Tensor);
