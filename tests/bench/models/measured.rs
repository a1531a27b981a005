//! What came of a case, as a row of a table and as JSON.

use crate::{floors::Floors, ours::Effort};

/// Above the rows.
pub const HEAD: &str =
    "| | parameters | ours ms | TFLOP/s | of the roofline | theirs ms | ours / theirs |
|---|---|---|---|---|---|---|";

/// Times of one case, in milliseconds.
pub struct Measured {
    /// The case.
    pub name: String,
    /// Numbers in the network's weights.
    pub parameters: u64,
    /// What a call has to do.
    pub effort: Effort,
    /// Calls of ours.
    pub ours: Vec<f64>,
    /// Calls of theirs, in turns with ours.
    pub theirs: Vec<f64>,
}

impl Measured {
    /// A row of the table.
    pub fn row(&self, floors: &Floors) -> String {
        let ours = median(&self.ours);
        let (speed, share) = if self.effort.flops > 0.0 {
            let seconds = ours / 1e3;
            (
                format!("{:.3}", self.effort.flops / 1e12 / seconds),
                format!("{:.0} %", 100.0 * floors.seconds(self.effort) / seconds),
            )
        } else {
            Default::default()
        };
        let (theirs, ratio) = if self.theirs.is_empty() {
            Default::default()
        } else {
            // Of each pair of calls, since what else the machine does hits both alike.
            let pairs = self.ours.iter().zip(&self.theirs);
            let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
            let theirs = median(&self.theirs);
            (format!("{theirs:.1}"), format!("{:.2}", median(&ratios)))
        };
        format!(
            "| {} | {:.1} M | {ours:.1} | {speed} | {share} | {theirs} | {ratio} |",
            self.name,
            self.parameters as f64 / 1e6
        )
    }

    /// All that was measured.
    pub fn json(&self, floors: &Floors) -> serde_json::Value {
        serde_json::json!({
            "name": self.name, "parameters": self.parameters, "tflop": self.effort.flops / 1e12, "bytes": self.effort.bytes,
            "roofline_ms": floors.seconds(self.effort) * 1e3, "ours_ms": self.ours, "theirs_ms": self.theirs,
        })
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
