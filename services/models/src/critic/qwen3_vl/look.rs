//! A picture through the tower and, as the beginning of all questions, through the decoder.

use image::RgbImage;
use tch::Tensor;

use super::{Grid, Qwen3Vl, Qwen3VlError, VisionTrace, places, prefix::Prefix};
use crate::language::Positions;

/// A picture that was read.
pub struct Look {
    pub(super) prefix: Prefix,
    /// Place of the first token behind it.
    pub(super) next: i64,
    /// Tokens so far.
    pub(super) tokens: usize,
}

impl Look {
    /// Tokens that it takes in the decoder.
    pub const fn tokens(&self) -> usize {
        self.tokens
    }
}

/// What a network computes on its way, for comparison with others.
#[derive(Default)]
pub struct Trace {
    /// Of the vision tower.
    pub vision: VisionTrace,
    /// States `(1, n, hidden)` behind each layer of the decoder, before deepstack's addition.
    pub layers: Vec<Tensor>,
}

impl Qwen3Vl {
    /// Reads a picture.
    pub fn look(&self, picture: &RgbImage) -> Result<Look, Qwen3VlError> {
        self.look_traced(picture, None)
    }

    /// The same; `trace` takes what is computed on the way.
    pub fn look_traced(
        &self,
        picture: &RgbImage,
        trace: Option<&mut Trace>,
    ) -> Result<Look, Qwen3VlError> {
        let picture = self
            .preprocess
            .sized(picture)
            .map_err(Qwen3VlError::Picture)?;
        let (patches, grid) = self.preprocess.patches(&picture);
        let tokens = self.prompt.before(grid.tokens());
        tch::no_grad(|| self.read(&patches, grid, &tokens, trace))
    }

    fn read(
        &self,
        patches: &Tensor,
        grid: Grid,
        tokens: &[u32],
        trace: Option<&mut Trace>,
    ) -> Result<Look, Qwen3VlError> {
        let mut unseen = Trace::default();
        let traced = trace.is_some();
        let trace = trace.unwrap_or(&mut unseen);
        let seen = self.vision.forward(
            &patches.to_device(self.decoder.device()),
            grid,
            traced.then_some(&mut trace.vision),
        );
        let first = self.prompt.first_of_picture();
        let ids = self.ids(&[tokens.to_vec()])?;
        let embedded = self.decoder.embed(&ids);
        let place = |x: &Tensor| x.narrow(1, first as i64, grid.tokens() as i64);
        place(&embedded).copy_(&seen.merged.unsqueeze(0));
        let (places, next) = places(first, grid, tokens.len());
        let mrope = &self.config.mrope;
        let angles = mrope.angles(&places, &self.config.text, self.decoder.device());
        let positions = Positions::turned(&angles, self.decoder.kind(), None);
        let mut prefix = Prefix::default();
        let after = |layer: usize, x: Tensor| {
            if traced {
                trace.layers.push(x.copy());
            }
            if let Some(deep) = seen.deepstack.get(layer) {
                let _ = place(&x).g_add_(&deep.unsqueeze(0));
            }
            x
        };
        // Questions read on from keys and values; what the last layer says of the picture is of no use but to compare it.
        if traced {
            let _states = self
                .decoder
                .run(embedded, &positions, Some(&mut prefix), after);
        } else {
            self.decoder
                .remember(embedded, &positions, &mut prefix, after);
        }
        Ok(Look {
            prefix,
            next,
            tokens: tokens.len(),
        })
    }
}
