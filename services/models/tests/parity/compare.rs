//! How near is equal, and what was not.

use tch::{Kind, Tensor};

/// Largest difference that f32 arithmetic in another order explains, over a whole network: relative to the largest number of the reference
/// where that is above 1.
pub const TOLERANCE: f64 = 2e-4;

/// What kept a network from being compared: a file that does not load, a tensor that the dump lacks.
pub type Failure = Box<dyn std::error::Error>;

/// Everything that was compared in one run, and what differed.
#[derive(Default)]
pub struct Comparison {
    compared: usize,
    /// The largest difference, in units of what is allowed.
    worst: f64,
    differences: Vec<String>,
}

impl Comparison {
    /// Two tensors of the same shape, all finite, nowhere further apart than [`TOLERANCE`].
    pub fn near(&mut self, name: &str, found: &Tensor, reference: &Tensor) {
        self.within(TOLERANCE, name, found, reference);
    }

    /// The same with another tolerance, for example an exact table's.
    pub fn within(&mut self, tolerance: f64, name: &str, found: &Tensor, reference: &Tensor) {
        self.compared += 1;
        if found.size() != reference.size() {
            self.differences.push(format!(
                "{name} has shape {:?}, the reference {:?}",
                found.size(),
                reference.size()
            ));
            return;
        }
        let [found, reference] = [found, reference].map(|x| x.detach().to_kind(Kind::Double));
        let scale = reference.abs().max().double_value(&[]).max(1.0);
        let furthest = (found - reference).abs().max().double_value(&[]);
        let share = furthest / (tolerance * scale);
        // What is not a number is neither.
        if share <= 1.0 {
            self.worst = self.worst.max(share);
        } else {
            self.differences.push(format!(
                "{name} is off by {furthest:.1e} at a scale of {scale:.1}"
            ));
        }
    }

    /// Tokens, texts, shapes: the same or not.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, found: &T, reference: &T) {
        self.compared += 1;
        if found != reference {
            let short = |value: &T| {
                let text = format!("{value:?}");
                match text.char_indices().nth(120) {
                    Some((end, _)) => format!("{}..", &text[..end]),
                    None => text,
                }
            };
            self.differences.push(format!(
                "{name} is {}, the reference {}",
                short(found),
                short(reference)
            ));
        }
    }

    /// The first difference.
    pub fn difference(&self) -> Option<&str> {
        self.differences.first().map(String::as_str)
    }

    /// Fails with every difference; says how near the rest is.
    #[track_caller]
    pub fn assert_same(&self, subject: &str) {
        assert!(self.compared > 0, "{subject}: nothing was compared");
        println!(
            "{subject}: {} compared, {} differ, the others by at most {:.3} of what is allowed",
            self.compared,
            self.differences.len(),
            self.worst
        );
        assert!(
            self.differences.is_empty(),
            "{subject}:\n  {}",
            self.differences.join("\n  ")
        );
    }
}

#[test]
fn differences_are_named_and_equals_are_not() {
    let reference = Tensor::from_slice(&[1.0_f32, -20.0]);
    let mut comparison = Comparison::default();
    comparison.near("a", &(&reference + 3.9e-3), &reference);
    comparison.equal("b", &[1, 2], &[1, 2]);
    assert_eq!(comparison.difference(), None);
    for wrong in [
        &reference + 4.1e-3,
        &reference / 0.0,
        &reference * f64::NAN,
        reference.unsqueeze(0),
    ] {
        let mut comparison = Comparison::default();
        comparison.near("states", &wrong, &reference);
        assert!(comparison.difference().unwrap().starts_with("states "));
    }
    let mut comparison = Comparison::default();
    comparison.equal("tokens", &[1, 2], &[1, 3]);
    assert!(comparison.difference().unwrap().starts_with("tokens is"));
}
