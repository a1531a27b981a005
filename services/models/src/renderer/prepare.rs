//! What the transformer reads beside the noisy tokens: text, references, positions, bias.

use image::{RgbImage, RgbaImage};
use tch::{Kind, Tensor};

use super::{
    load::Renderer,
    regions::{self, Arrangement, Grid, Layout, Positions, ThingTokens},
    scene::{RenderError, RenderScene},
};
use crate::props::picture::{reference_picture, whole_picture};

/// Most tokens of a published checkpoint's reference that has no box: a megapixel, as its authors bound it.
const FREE_REFERENCE_TOKENS: usize = 64 * 64;

/// Tokens that a reference may have whatever small box it is for.
const BOXED_REFERENCE_TOKENS: usize = 16 * 16;

/// What one scene brings.
pub(super) struct Parts {
    /// States of base and things, then filling: `(t, text channels)`, f32.
    text: Tensor,
    /// States that are no filling.
    real: i64,
    /// Tokens of all references, `(r, channels)`, f32.
    reference: Tensor,
    layout: Layout,
}

/// What the transformer reads of a batch beside the noisy tokens; the same at every step.
pub(super) struct Prepared {
    /// As [`super::Network::velocity`] reads it, `(B, T, ..)`.
    pub text: Tensor,
    /// `(B, R, channels)`.
    pub reference: Option<Tensor>,
    pub arranged: Arrangement,
    /// The bias of steps in which nothing is tied, where there are such steps.
    pub loose: Option<Tensor>,
    /// The bias of blocks in which things are tied less, where there are such blocks.
    pub soft: Option<Tensor>,
}

impl Renderer {
    /// `source`: tokens `(N, channels)` of the picture that is changed. Klein reads it as its first reference; the small checkpoint never
    /// saw one.
    pub(super) fn parts(
        &self,
        scene: &RenderScene,
        grid: Grid,
        source: Option<&Tensor>,
    ) -> Result<Parts, RenderError> {
        scene.check(self.network.text_channels())?;
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
                if !self.network.reads_references() {
                    return Err(RenderError::Scene(
                        "this renderer reads no reference pictures: describe the thing in words"
                            .into(),
                    ));
                }
                let shown = self.shown(picture, thing.bbox, grid);
                references.push(self.encode(&shown));
                own.reference = Some(Grid::of(shown.width(), shown.height()));
            }
            things.push(own);
        }
        let mut layout = Layout {
            base: scene.base.size()[0] as usize,
            things,
        };
        let mut texts: Vec<Tensor> = std::iter::once(&scene.base)
            .chain(scene.things.iter().map(|thing| &thing.states))
            .map(|states| {
                let states = states.to_device(self.device);
                match &self.text_stats {
                    Some(stats) => stats.apply(&states),
                    None => states.to_kind(Kind::Float),
                }
            })
            .collect();
        let real = layout.text_tokens();
        let filling = real.next_multiple_of(self.network.text_multiple()) - real;
        if filling > 0 {
            layout.things.push(ThingTokens {
                text: filling,
                ..Default::default()
            });
            texts.push(self.empty(filling as i64, self.network.text_channels()));
        }
        let all = (real + filling) as i64;
        if let Some(most) = self.network.most_text()
            && all > most
        {
            return Err(RenderError::Scene(format!(
                "{all} text states: this renderer has places for {most}"
            )));
        }
        references.push(self.empty(0, self.network.token_channels()));
        Ok(Parts {
            text: Tensor::cat(&texts, 0),
            real: real as i64,
            reference: Tensor::cat(&references, 0),
            layout,
        })
    }

    /// Scenes of one size as a batch.
    pub(super) fn prepared(&self, scenes: &[&Parts], grid: Grid) -> Prepared {
        let kind = self.network.kind();
        let rows = |of: fn(&Parts) -> &Tensor| -> Vec<Tensor> {
            scenes
                .iter()
                .map(|parts| of(parts).shallow_clone())
                .collect()
        };
        let layouts: Vec<Layout> = scenes.iter().map(|parts| parts.layout.clone()).collect();
        let real: Vec<i64> = scenes.iter().map(|parts| parts.real).collect();
        let arranged = self.config.positions.arrange(grid, &layouts, self.device);
        let ties = self.config.regions;
        let loose = ties.lets_go().then(|| arranged.at(0.0)).flatten();
        let soft = ties.softens().then(|| arranged.at(ties.soft)).flatten();
        let arranged = arranged.tied(ties.strength).in_kind(kind);
        let states = regions::pad(&rows(|parts| &parts.text)).expect("scenes have text");
        Prepared {
            text: self
                .network
                .text(&states, &real, &arranged.text_ids, arranged.bias.as_ref()),
            reference: regions::pad(&rows(|parts| &parts.reference)),
            loose: loose.map(|bias| bias.to_kind(kind)),
            soft: soft.map(|bias| bias.to_kind(kind)),
            arranged,
        }
    }

    fn empty(&self, tokens: i64, channels: i64) -> Tensor {
        Tensor::zeros([tokens, channels], (Kind::Float, self.device))
    }

    /// A reference as the checkpoint is shown it: the small one in a square that fills the box, published ones as it is, within bounds.
    fn shown(&self, picture: &RgbaImage, bbox: Option<[f32; 4]>, grid: Grid) -> RgbImage {
        let positions = self.config.positions;
        let cells = bbox.map(|bbox| positions.cells(bbox, grid).grid());
        match positions {
            Positions::Placed => {
                let side = cells.map_or(grid.rows.min(grid.columns), |cells| {
                    cells.rows.max(cells.columns)
                });
                reference_picture(picture, side as u32 * regions::TOKEN_SIDE)
            }
            Positions::Family | Positions::Counted => {
                let most = cells.map_or(FREE_REFERENCE_TOKENS, |cells| {
                    cells.tokens().max(BOXED_REFERENCE_TOKENS)
                });
                whole_picture(picture, most, regions::TOKEN_SIDE)
            }
        }
    }
}
