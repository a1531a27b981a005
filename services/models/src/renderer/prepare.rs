//! What the transformer reads beside the noisy tokens: text, references, positions, bias.

use tch::{Kind, Tensor};

use super::{
    load::Renderer,
    regions::{self, Arrangement, Grid, Layout, Positions, ThingTokens},
    scene::{RenderError, RenderScene},
};
use crate::props::picture::reference_picture;

/// Longest side of a reference that has no box, in tokens.
const FREE_REFERENCE_TOKENS: usize = 32;

/// What the transformer reads beside the noisy tokens; the same at every step.
pub(super) struct Prepared {
    /// `(1, T, text channels)`.
    pub text: Tensor,
    /// `(1, R, channels)`.
    pub reference: Option<Tensor>,
    pub arranged: Arrangement,
}

impl Renderer {
    /// `source`: tokens of the picture that is changed. The family reads it as its first reference; the small checkpoint never saw one.
    pub(super) fn prepare(
        &self,
        scene: &RenderScene,
        grid: Grid,
        source: Option<&Tensor>,
    ) -> Result<Prepared, RenderError> {
        scene.check(self.transformer.config().text_channels)?;
        let mut things = Vec::new();
        let mut references = Vec::new();
        if let (Positions::Family, Some(source)) = (self.config.positions, source) {
            things.push(ThingTokens {
                reference: Some(grid),
                ..Default::default()
            });
            references.push(source.shallow_clone());
        }
        for thing in &scene.things {
            let mut own = ThingTokens {
                text: thing.states.size()[0] as usize,
                bbox: thing.bbox,
                reference: None,
            };
            if let Some(picture) = &thing.reference {
                let side = self.reference_side(thing.bbox, grid);
                let shown = reference_picture(picture, side as u32 * regions::TOKEN_SIDE);
                references.push(self.encode(&shown));
                own.reference = Some(Grid {
                    rows: side,
                    columns: side,
                });
            }
            things.push(own);
        }
        let layout = Layout {
            base: scene.base.size()[0] as usize,
            things,
        };
        let texts: Vec<Tensor> = std::iter::once(&scene.base)
            .chain(scene.things.iter().map(|thing| &thing.states))
            .map(|states| {
                let states = states.to_device(self.device);
                match &self.text_stats {
                    Some(stats) => stats.apply(&states),
                    None => states.to_kind(Kind::Float),
                }
            })
            .collect();
        Ok(Prepared {
            text: Tensor::cat(&texts, 0)
                .unsqueeze(0)
                .to_kind(self.transformer.kind()),
            reference: (!references.is_empty()).then(|| Tensor::cat(&references, 1)),
            arranged: self
                .config
                .positions
                .arrange(grid, &[layout], self.device)
                .in_kind(self.transformer.kind()),
        })
    }

    /// Tokens along a side of the square that a reference is shown in.
    fn reference_side(&self, bbox: Option<[f32; 4]>, grid: Grid) -> usize {
        let positions = self.config.positions;
        match bbox {
            Some(bbox) => {
                let Grid { rows, columns } = positions.cells(bbox, grid).grid();
                rows.max(columns)
            }
            None => match positions {
                Positions::Family => grid.rows.min(grid.columns).min(FREE_REFERENCE_TOKENS),
                Positions::Placed => grid.rows.min(grid.columns),
            },
        }
    }
}
