//! How sure the critic may be: fitted on what it says of drawn pictures that it was not trained on.

use atelier_models::critic::detector::{Calibration, Line};

use super::asked::{Looked, Told};

/// Steps of Newton's method; it is there after a few.
const STEPS: usize = 30;
/// Weight that holds the line near `evidence as it is`: few pictures shall not bend it far.
const HOLD: f64 = 1.0;

/// The calibration of a critic that gave these answers without one.
pub fn fitted(looked: &[Looked]) -> Calibration {
    let of = |kind: &str| {
        let told = looked.iter().flat_map(|looked| &looked.answers);
        let pairs: Vec<(f32, bool)> = told
            .filter(|told| told.kind == kind)
            .filter_map(|told: &Told| Some((told.likely?, told.so)))
            .collect();
        line(&pairs)
    };
    Calibration {
        presence: of("presence"),
        color: of("color"),
    }
}

/// The line under which what is so is likeliest, given evidence with what is so.
fn line(pairs: &[(f32, bool)]) -> Line {
    let (mut slope, mut offset) = (1.0_f64, 0.0_f64);
    for _ in 0..STEPS {
        // Gradient and curvature of the loss, both of slope and offset.
        let mut gradient = [HOLD * (slope - 1.0), HOLD * offset];
        let mut curve = [HOLD, 0.0, HOLD];
        for (evidence, so) in pairs {
            let x = f64::from(Line::logit(*evidence));
            let p = 1.0 / (1.0 + (-(slope * x + offset)).exp());
            let off = p - f64::from(u8::from(*so));
            let weight = p * (1.0 - p);
            gradient[0] += off * x;
            gradient[1] += off;
            curve[0] += weight * x * x;
            curve[1] += weight * x;
            curve[2] += weight;
        }
        let area = curve[0] * curve[2] - curve[1] * curve[1];
        let step = [
            (curve[2] * gradient[0] - curve[1] * gradient[1]) / area,
            (curve[0] * gradient[1] - curve[1] * gradient[0]) / area,
        ];
        // Short steps: far from the end the loss is no parabola.
        slope -= step[0].clamp(-0.5, 0.5);
        offset -= step[1].clamp(-0.5, 0.5);
    }
    Line {
        slope: slope.max(0.05) as f32,
        offset: offset as f32,
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_line_that_made_the_answers_is_found_again() {
        let made = Line {
            slope: 0.7,
            offset: 1.2,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let pairs: Vec<(f32, bool)> = (0..5_000)
            .map(|_| {
                let evidence = rng.random_range(0.0..1.0);
                (evidence, rng.random_bool(f64::from(made.likely(evidence))))
            })
            .collect();
        let found = line(&pairs);
        assert!((found.slope - made.slope).abs() < 0.1, "{found:?}");
        assert!((found.offset - made.offset).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn a_few_answers_that_are_all_right_bend_it_a_little_only() {
        let found = line(&[(0.9, true), (0.1, false)]);
        assert!(
            (0.5..2.0).contains(&found.slope) && found.offset.abs() < 0.5,
            "{found:?}"
        );
        assert_eq!(line(&[]), Line::default());
    }
}
