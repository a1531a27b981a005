//! Decoding in overlapping tiles that are blended into each other, as diffusers' `tiled_decode` does.

use tch::{Kind, Tensor};

/// Pixels along a side of a latent.
const LATENT_PIXELS: i64 = 8;

/// How a picture is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Latents along a side of a tile; a multiple of 4.
    pub side: i64,
}

impl Tiles {
    /// Tiles of 512 x 512 pixels.
    pub const DEFAULT: Self = Self { side: 64 };

    /// Pictures `(b, 3, 8 h, 8 w)` of latents `(b, c, h, w)`; `decode` does it for a tile. A quarter of a tile overlaps its neighbour.
    pub(super) fn decode(self, latents: &Tensor, decode: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let (_, _, h, w) = latents.size4().expect("latents have four dimensions");
        let stride = (self.side * 3 / 4).max(1);
        let overlap = self.side * LATENT_PIXELS / 4;
        let shown = self.side * LATENT_PIXELS - overlap;
        let starts = |size: i64| (0..size).step_by(stride as usize);
        let mut rows: Vec<Tensor> = Vec::new();
        // Of the row above; each is blended already, as the next ones are blended into what shows.
        let mut above: Vec<Tensor> = Vec::new();
        for top in starts(h) {
            let mut row: Vec<Tensor> = Vec::new();
            for (column, left) in starts(w).enumerate() {
                let tile = latents.narrow(2, top, self.side.min(h - top)).narrow(
                    3,
                    left,
                    self.side.min(w - left),
                );
                let mut picture = decode(&tile).to_kind(Kind::Float);
                if let Some(above) = above.get(column) {
                    picture = blended(above, &picture, 2, overlap);
                }
                if let Some(left) = row.last() {
                    picture = blended(left, &picture, 3, overlap);
                }
                row.push(picture);
            }
            let kept: Vec<Tensor> = row
                .iter()
                .map(|tile| narrowed(&narrowed(tile, 2, shown), 3, shown))
                .collect();
            rows.push(Tensor::cat(&kept, 3));
            above = row;
        }
        Tensor::cat(&rows, 2)
    }
}

/// `next`, whose first `overlap` lines along `dim` come over from the last ones of `before`.
fn blended(before: &Tensor, next: &Tensor, dim: i64, overlap: i64) -> Tensor {
    let size = |tensor: &Tensor| tensor.size()[dim as usize];
    let overlap = overlap.min(size(before)).min(size(next));
    let mut shape = [1; 4];
    shape[dim as usize] = overlap;
    let share =
        (Tensor::arange(overlap, (Kind::Float, next.device())) / overlap as f64).view(shape);
    let end = before.narrow(dim, size(before) - overlap, overlap);
    let start = next.narrow(dim, 0, overlap);
    let mixed = end.lerp_tensor(&start, &share);
    Tensor::cat(
        &[mixed, next.narrow(dim, overlap, size(next) - overlap)],
        dim,
    )
}

fn narrowed(tensor: &Tensor, dim: i64, most: i64) -> Tensor {
    tensor.narrow(dim, 0, most.min(tensor.size()[dim as usize]))
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn what_every_tile_sees_alike_has_no_seams() {
        let latents = Tensor::rand([1, 3, 20, 28], (Kind::Float, Device::Cpu));
        // A decoder without statistics or neighbours: each latent becomes 8 x 8 pixels.
        let enlarge = |x: &Tensor| {
            let (_, _, h, w) = x.size4().unwrap();
            x.upsample_nearest2d([8 * h, 8 * w], None, None)
        };
        for side in [4, 8, 12, 64] {
            let tiled = Tiles { side }.decode(&latents, enlarge);
            assert_eq!(tiled.size(), [1, 3, 160, 224]);
            let difference = (tiled - enlarge(&latents)).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "side {side}: {difference}");
        }
    }

    #[test]
    fn tiles_that_differ_are_mixed_over_their_overlap() {
        let latents = Tensor::zeros([1, 1, 4, 8], (Kind::Float, Device::Cpu));
        let count = std::cell::Cell::new(-1.0);
        let counted = |x: &Tensor| {
            count.set(count.get() + 1.0);
            let (_, _, h, w) = x.size4().unwrap();
            Tensor::full(
                [1, 1, 8 * h, 8 * w],
                count.get(),
                (Kind::Float, Device::Cpu),
            )
        };
        let tiled = Tiles { side: 4 }.decode(&latents, counted);
        let at = |x| tiled.double_value(&[0, 0, 0, x]);
        // The second tile begins at latent 3, pixel 24, and is mixed over 8 pixels.
        assert_eq!(
            (at(23), at(24), at(28), at(31), at(32)),
            (0.0, 0.0, 0.5, 0.875, 1.0)
        );
    }
}
