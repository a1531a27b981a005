//! From noise to tokens: Euler steps of one or more drawings at once.

use tch::Tensor;

use super::{
    TransformerInput,
    draw::{OnDrawingStep, Preview},
    input::{Layers, Observe},
    load::Renderer,
    prepare::{Parts, Prepared},
    regions::Grid,
    repaint::Kept,
    scene::RenderError,
    schedule,
};

/// How many small pictures one drawing offers on its way, at most.
const PREVIEWS: u32 = 4;

/// One drawing of a batch. All tokens are `(N, channels)`, f32.
pub(super) struct Member {
    /// Its place among those that were asked for.
    pub index: usize,
    /// What it shows.
    pub scene: Parts,
    /// What it is guided away from.
    pub opposite: Option<Parts>,
    /// Its noise.
    pub noise: Tensor,
    /// Where it starts, at the first sigma.
    pub start: Tensor,
    /// What of it stays.
    pub kept: Option<Kept>,
}

/// What all members bring, in one tensor each; rows in the order of the members.
struct Batch {
    scene: Prepared,
    opposite: Option<Prepared>,
    /// Picture `(B, N, channels)`, noise and mask `(B, N, 1)` where something stays.
    kept: Option<[Tensor; 3]>,
}

impl Renderer {
    /// Tokens of each drawing at the last sigma, with its index; all of them are on the same `grid` and take the same steps.
    pub(super) fn sample(
        &self,
        mut members: Vec<Member>,
        grid: Grid,
        sigmas: &[f32],
        on_step: OnDrawingStep<'_>,
        observe: Observe<'_>,
    ) -> Vec<(usize, Result<Tensor, RenderError>)> {
        let total = sigmas.len() as u32 - 1;
        let every = total.div_ceil(PREVIEWS).max(1);
        let mut ended = Vec::with_capacity(members.len());
        members.retain(|member| {
            let goes_on = on_step(member.index, 0, total, None);
            if !goes_on {
                ended.push((member.index, Err(RenderError::Canceled)));
            }
            goes_on
        });
        if members.is_empty() {
            return ended;
        }
        let mut x = stacked(&members, |member| &member.start);
        let mut batch = self.batch(&members, grid);
        for (done, pair) in (1..=total).zip(sigmas.windows(2)) {
            let tied = self.config.regions.holds_at(done, total);
            let velocity = self.velocity(&x, &batch, pair[0], tied);
            observe("velocity", done as usize, &velocity);
            let clean = (done % every == 0 && done < total)
                .then(|| schedule::estimate(&x, &velocity, pair[0]));
            x = schedule::step(&x, &velocity, pair[0], pair[1]);
            if let Some([picture, noise, mask]) = &batch.kept {
                x = schedule::keep_outside(&x, picture, noise, mask, pair[1]);
            }
            observe("tokens", done as usize, &x);
            let going: Vec<i64> = (0i64..)
                .zip(&members)
                .filter(|(row, member)| {
                    let small = clean
                        .as_ref()
                        .map(|clean| move || self.preview(&clean.get(*row), grid));
                    let preview = small.as_ref().map(|small| small as Preview<'_>);
                    on_step(member.index, done, total, preview)
                })
                .map(|(row, _)| row)
                .collect();
            if going.len() == members.len() {
                continue;
            }
            let mut row = -1;
            members.retain(|member| {
                row += 1;
                let goes_on = going.contains(&row);
                if !goes_on {
                    ended.push((member.index, Err(RenderError::Canceled)));
                }
                goes_on
            });
            if members.is_empty() {
                return ended;
            }
            x = x.index_select(0, &Tensor::from_slice(&going).to_device(self.device));
            batch = self.batch(&members, grid);
        }
        ended.extend(
            (0i64..)
                .zip(&members)
                .map(|(row, member)| (member.index, Ok(x.get(row)))),
        );
        ended
    }

    fn batch(&self, members: &[Member], grid: Grid) -> Batch {
        let scenes: Vec<&Parts> = members.iter().map(|member| &member.scene).collect();
        let opposites: Option<Vec<&Parts>> = members
            .iter()
            .map(|member| member.opposite.as_ref())
            .collect();
        let kept: Option<Vec<&Kept>> = members.iter().map(|member| member.kept.as_ref()).collect();
        Batch {
            scene: self.prepared(&scenes, grid),
            opposite: opposites.map(|opposites| self.prepared(&opposites, grid)),
            kept: kept.map(|kept| {
                let of = |of: fn(&Kept) -> &Tensor| {
                    let rows: Vec<&Tensor> = kept.iter().map(|kept| of(kept)).collect();
                    Tensor::stack(&rows, 0)
                };
                [
                    of(|kept| &kept.picture),
                    stacked(members, |member| &member.noise),
                    of(|kept| &kept.mask),
                ]
            }),
        }
    }

    /// Velocity at `sigma`, guided where the checkpoint is used so; `tied`: things keep to their boxes.
    fn velocity(&self, x: &Tensor, batch: &Batch, sigma: f32, tied: bool) -> Tensor {
        let times = Tensor::from_slice(&[sigma]).to_device(self.device);
        let pass = |prepared: &Prepared| {
            self.network.velocity(&TransformerInput {
                noisy: x,
                reference: prepared.reference.as_ref(),
                text: &prepared.text,
                times: &times,
                image_ids: &prepared.arranged.image_ids,
                text_ids: &prepared.arranged.text_ids,
                bias: match tied {
                    true => prepared.arranged.bias.as_ref(),
                    false => prepared.loose.as_ref(),
                },
                layers: prepared.soft.as_ref().filter(|_| tied).map(|soft| Layers {
                    share: self.config.regions.layers,
                    elsewhere: Some(soft),
                }),
            })
        };
        let towards = pass(&batch.scene);
        match &batch.opposite {
            Some(opposite) => schedule::guided(&pass(opposite), &towards, self.config.guidance),
            None => towards,
        }
    }
}

fn stacked(members: &[Member], of: fn(&Member) -> &Tensor) -> Tensor {
    let rows: Vec<&Tensor> = members.iter().map(of).collect();
    Tensor::stack(&rows, 0)
}
