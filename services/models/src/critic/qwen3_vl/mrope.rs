//! Positions on three axes (M-RoPE, <https://arxiv.org/abs/2409.12191>, in Qwen3-VL's interleaved form): a picture's tokens stand at their row
//! and column, words count on all three.

use tch::{Device, Tensor};

use super::Grid;
use crate::language::DecoderConfig;

/// Which pairs of a head turn with which axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mrope {
    /// How many pairs time, rows and columns have.
    pub sections: [i64; 3],
}

/// Where a token stands: time, row, column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub [i64; 3]);

impl Place {
    /// Words from `first` on.
    pub fn run(first: i64, count: i64) -> Vec<Self> {
        (first..first + count).map(|at| Self([at; 3])).collect()
    }
}

/// Places of `all` tokens, of which those from `first` on are a picture's; and the place of what follows.
pub fn places(first: usize, grid: Grid, all: usize) -> (Vec<Place>, i64) {
    let (rows, columns) = grid.merged();
    let start = first as i64;
    let mut places = Place::run(0, start);
    for row in 0..rows {
        for column in 0..columns {
            places.push(Place([start, start + row, start + column]));
        }
    }
    // As far as the longer side reaches, which is less than the picture has tokens.
    let behind = start + rows.max(columns);
    let rest = all as i64 - places.len() as i64;
    places.extend(Place::run(behind, rest));
    (places, behind + rest)
}

impl Mrope {
    /// Axis of the pair with this number: rows and columns take every third, as long as they have pairs left.
    const fn axis(&self, pair: i64) -> usize {
        let axis = (pair % 3) as usize;
        if axis > 0 && pair < 3 * self.sections[axis] {
            axis
        } else {
            0
        }
    }

    /// Angles `(n, head / 2)` in radians, f32.
    pub fn angles(&self, places: &[Place], config: &DecoderConfig, device: Device) -> Tensor {
        let frequencies: Vec<f32> = config
            .rope
            .frequencies(config.head)
            .into_iter()
            .map(|frequency| frequency as f32)
            .collect();
        let turned = |Place(place): &Place| {
            let angle = |(pair, frequency): (i64, &f32)| place[self.axis(pair)] as f32 * frequency;
            (0..).zip(&frequencies).map(angle).collect::<Vec<f32>>()
        };
        let angles: Vec<f32> = places.iter().flat_map(turned).collect();
        Tensor::from_slice(&angles)
            .view([places.len() as i64, frequencies.len() as i64])
            .to_device(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_on_behind_the_longer_side() {
        let grid = Grid {
            rows: 4,
            columns: 6,
            merge: 2,
        };
        let (found, next) = places(2, grid, 10);
        assert_eq!(found[1], Place([1; 3]));
        assert_eq!(found[2], Place([2, 2, 2]));
        assert_eq!(found[7], Place([2, 3, 4]));
        assert_eq!(found[8], Place([5; 3]));
        assert_eq!((found.len(), next), (10, 7));
    }

    #[test]
    fn pairs_are_interleaved_as_far_as_they_reach() {
        let mrope = Mrope {
            sections: [24, 20, 20],
        };
        let axes: Vec<usize> = (0..64).map(|pair| mrope.axis(pair)).collect();
        assert_eq!(axes[..6], [0, 1, 2, 0, 1, 2]);
        assert_eq!(axes[58..], [1, 2, 0, 0, 0, 0]);
        for axis in 0..3 {
            let count = axes.iter().filter(|found| **found == axis).count();
            assert_eq!(count as i64, mrope.sections[axis]);
        }
    }
}
