//! What the detector's training minimises.

use atelier_models::critic::detector::{DetectorConfig, net::Raw};
use tch::{Reduction, Tensor};

use super::sample::Targets;

/// Parts of the loss, each a scalar.
pub struct Loss {
    /// What is minimised.
    pub total: Tensor,
    /// Binary cross-entropy of objectness.
    pub object: Tensor,
    /// 1 - overlap of the boxes, plus a little of their edges.
    pub edges: Tensor,
    /// Cross-entropy of the names.
    pub name: Tensor,
    /// Cross-entropy of the colours.
    pub color: Tensor,
    /// Cross-entropy of background and time.
    pub scene: Tensor,
}

impl Loss {
    /// The loss of a batch.
    pub fn of(config: &DetectorConfig, raw: &Raw, targets: &Targets) -> Self {
        let channels = config.cell_channels();
        let object = raw.cells.select(2, 0).binary_cross_entropy_with_logits(
            &targets.object,
            None::<&Tensor>,
            None::<&Tensor>,
            Reduction::Mean,
        );
        let chosen = raw
            .cells
            .reshape([-1, channels])
            .index_select(0, &targets.at);
        let logs = chosen.narrow(1, 1, 4).clamp(-6.0, 4.0);
        let edges = 1.0 - overlap(&logs.exp(), &targets.edges).mean(tch::Kind::Float)
            + 0.1
                * (logs - targets.edges.clamp(0.05, 50.0).log())
                    .abs()
                    .mean(tch::Kind::Float);
        let entropy = |logits: &Tensor, target: &Tensor, smoothing: f64| {
            logits.cross_entropy_loss(target, None::<&Tensor>, Reduction::Mean, -100, smoothing)
        };
        let first = DetectorConfig::COLOR;
        let color = entropy(
            &chosen.narrow(1, first, config.name_channel() - first),
            &targets.color,
            0.0,
        );
        let name = entropy(
            &chosen.narrow(1, config.name_channel(), channels - config.name_channel()),
            &targets.name,
            0.03,
        );
        let backgrounds = config.backgrounds.len() as i64;
        let scene = entropy(
            &raw.scene.narrow(1, 0, backgrounds),
            &targets.background,
            0.0,
        ) + entropy(
            &raw.scene.narrow(1, backgrounds, config.times.len() as i64),
            &targets.time,
            0.0,
        );
        Self {
            total: 5.0 * &object + 2.0 * &edges + &name + 0.7 * &color + 0.2 * &scene,
            object,
            edges,
            name,
            color,
            scene,
        }
    }
}

/// Intersection over union of boxes about the same points; both `(n, 4)`, distances to left, top, right, bottom. `(n,)`.
fn overlap(a: &Tensor, b: &Tensor) -> Tensor {
    let area = |edges: &Tensor| {
        (edges.select(1, 0) + edges.select(1, 2)) * (edges.select(1, 1) + edges.select(1, 3))
    };
    let common = area(&a.minimum(b).clamp_min(0.0));
    &common / (area(a) + area(b) - &common).clamp_min(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_intersection_over_union() {
        let of = |a: [f32; 4], b: [f32; 4]| {
            overlap(
                &Tensor::from_slice(&a).view([1, 4]),
                &Tensor::from_slice(&b).view([1, 4]),
            )
            .double_value(&[0])
        };
        assert!((of([1.0; 4], [1.0; 4]) - 1.0).abs() < 1e-6);
        assert!((of([1.0, 1.0, 0.0, 1.0], [1.0; 4]) - 0.5).abs() < 1e-6);
    }
}
