//! From the network's numbers to things with boxes.

use atelier_proto::plan::BBox;

use super::config::DetectorConfig;

/// Objectness below which a cell is nothing.
const LEAST_SCORE: f32 = 0.1;
/// Overlap above which two boxes are the same thing.
const SAME: f32 = 0.45;
/// Most things of a picture.
const MOST: usize = 32;
/// Names kept of every thing.
const NAMES: usize = 16;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// What it most likely is.
    pub name: String,
    /// How sure it is that there is a thing, 0..1.
    pub score: f32,
    /// The likeliest names with their probabilities, the first is `name`.
    pub names: Vec<(String, f32)>,
    /// Its colour when it is one of the known ones and not the thing's own.
    pub color: Option<String>,
    /// Probability of `color` (of "as it comes" when none).
    pub color_score: f32,
    /// Every colour's probability, "as it comes" not among them.
    pub colors: Vec<(String, f32)>,
    /// Where it is, `[x0, y0, x1, y1]` in 0..1.
    pub bbox: [f32; 4],
}

impl Detection {
    /// Probability that it is a `name`, given that it is a thing.
    pub fn likelihood(&self, name: &str) -> f32 {
        self.names
            .iter()
            .find(|(found, _)| found == name)
            .map_or(0.0, |(_, probability)| *probability)
    }

    /// Probability of a thing times that of its name.
    pub fn evidence(&self, name: &str) -> f32 {
        self.score * self.likelihood(name)
    }

    /// Its box.
    pub const fn place(&self) -> BBox {
        BBox(self.bbox)
    }
}

/// Reads one picture's cells: `cells` has `grid * grid` rows of `config.cell_channels()` numbers.
pub fn decode(config: &DetectorConfig, cells: &[f32]) -> Vec<Detection> {
    let (grid, channels) = (config.grid() as usize, config.cell_channels() as usize);
    let found = cells
        .chunks_exact(channels)
        .take(grid * grid)
        .enumerate()
        .filter_map(|(index, cell)| detection(config, cell, (index % grid, index / grid), grid))
        .collect();
    suppress(found)
}

fn detection(
    config: &DetectorConfig,
    cell: &[f32],
    (column, row): (usize, usize),
    grid: usize,
) -> Option<Detection> {
    let score = 1.0 / (1.0 + (-cell[0]).exp());
    if !score.is_finite() || score < LEAST_SCORE {
        return None;
    }
    let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
    let reach = |log: f32| log.clamp(-6.0, 4.0).exp();
    let edge = |cells: f32| (cells / grid as f32).clamp(0.0, 1.0);
    let bbox = [
        edge(x - reach(cell[1])),
        edge(y - reach(cell[2])),
        edge(x + reach(cell[3])),
        edge(y + reach(cell[4])),
    ];
    if !bbox.iter().all(|edge| edge.is_finite()) {
        return None;
    }
    let (colors, things) = (
        DetectorConfig::COLOR as usize,
        config.name_channel() as usize,
    );
    let tints = softmax(&cell[colors..things]);
    let (own, tints) = tints.split_first()?;
    let colors: Vec<(String, f32)> = config
        .colors
        .iter()
        .cloned()
        .zip(tints.iter().copied())
        .collect();
    let (color, color_score) = colors
        .iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, probability)| probability > own)
        .map_or((None, *own), |(color, probability)| {
            (Some(color.clone()), *probability)
        });
    let mut names: Vec<(usize, f32)> = softmax(&cell[things..]).into_iter().enumerate().collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    let names: Vec<(String, f32)> = names
        .into_iter()
        .take(NAMES)
        .map(|(index, p)| (config.names[index].clone(), p))
        .collect();
    Some(Detection {
        name: names.first()?.0.clone(),
        score,
        names,
        color,
        color_score,
        colors,
        bbox,
    })
}

/// Keeps the surest of those that lie on each other, surest first.
pub fn suppress(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for detection in found {
        if kept.len() < MOST
            && kept
                .iter()
                .all(|better| better.place().iou(&detection.place()) < SAME)
        {
            kept.push(detection);
        }
    }
    kept
}

pub(super) fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers
        .into_iter()
        .map(|power| if sum > 0.0 { power / sum } else { 0.0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(score: f32, bbox: [f32; 4]) -> Detection {
        Detection {
            name: "cat".into(),
            score,
            names: vec![("cat".into(), 0.9)],
            color: None,
            color_score: 1.0,
            colors: vec![],
            bbox,
        }
    }

    #[test]
    fn the_surest_of_boxes_on_each_other_stays() {
        let kept = suppress(vec![
            at(0.5, [0.0, 0.0, 0.5, 0.5]),
            at(0.9, [0.02, 0.0, 0.5, 0.5]),
            at(0.4, [0.5, 0.5, 1.0, 1.0]),
        ]);
        assert_eq!(
            kept.iter().map(|found| found.score).collect::<Vec<_>>(),
            [0.9, 0.4]
        );
    }

    #[test]
    fn a_sure_cell_becomes_a_thing_with_its_box_name_and_color() {
        let config = DetectorConfig::mini(vec!["cat".into(), "dog".into()], vec![vec![], vec![]]);
        let channels = config.cell_channels() as usize;
        let mut cells = vec![-9.0_f32; 64 * channels];
        // Column 3, row 2: two cells to every side.
        let cell = &mut cells[(2 * 8 + 3) * channels..][..channels];
        cell[0] = 4.0;
        cell[1..5].fill(1.5_f32.ln());
        cell[5 + 1] = 3.0; // red
        cell[config.name_channel() as usize + 1] = 2.0;
        let found = decode(&config, &cells);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].color.as_deref()),
            ("dog", Some("red"))
        );
        let wanted = [2.0 / 8.0, 1.0 / 8.0, 5.0 / 8.0, 4.0 / 8.0];
        assert!(
            found[0]
                .bbox
                .iter()
                .zip(wanted)
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-5)
        );
    }

    proptest! {
        #[test]
        fn whatever_the_network_says_boxes_stay_inside(values in proptest::collection::vec(any::<f32>(), 64 * 19)) {
            let config = DetectorConfig::mini(vec!["cat".into(), "dog".into()], vec![vec![], vec![]]);
            for found in decode(&config, &values) {
                prop_assert!(found.bbox.iter().all(|edge| (0.0..=1.0).contains(edge)));
                prop_assert!(found.bbox[0] <= found.bbox[2] && found.bbox[1] <= found.bbox[3]);
            }
        }
    }
}
