//! Flow matching from noise (sigma 1) to picture (sigma 0) in Euler steps.

use serde::Deserialize;
use tch::{Kind, Tensor};

/// Shifts that leave steps apart in f32; far beyond every published checkpoint.
const LEAST_SHIFT: f64 = 0.01;
const MOST_SHIFT: f64 = 100.0;

/// How the even steps are moved towards the noisy end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shift {
    /// The family's own: stronger for larger pictures.
    Dynamic,
    /// The same for every size.
    Static(f64),
}

/// A schedule, as `scheduler_config.json` describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// How steps are moved.
    pub shift: Shift,
}

/// Why a schedule cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Not JSON of this shape.
    #[error("scheduler_config.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A kind of schedule that this family does not have.
    #[error("scheduler_config.json: {0}")]
    Value(String),
}

#[derive(Deserialize)]
struct OnDisk {
    #[serde(default)]
    use_dynamic_shifting: bool,
    #[serde(default = "one")]
    shift: f64,
    #[serde(default = "exponential")]
    time_shift_type: String,
    shift_terminal: Option<f64>,
    #[serde(default)]
    invert_sigmas: bool,
    #[serde(default)]
    stochastic_sampling: bool,
}

fn one() -> f64 {
    1.0
}

fn exponential() -> String {
    "exponential".into()
}

impl Schedule {
    /// The family's schedule.
    pub const FAMILY: Self = Self {
        shift: Shift::Dynamic,
    };

    /// Reads and checks a `scheduler_config.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ScheduleError> {
        let disk: OnDisk = serde_json::from_slice(bytes)?;
        if disk.shift_terminal.is_some() || disk.invert_sigmas || disk.stochastic_sampling {
            return Err(ScheduleError::Value(
                "terminal shifts, inverted or stochastic sampling are not known".into(),
            ));
        }
        if disk.use_dynamic_shifting {
            if disk.time_shift_type != "exponential" {
                return Err(ScheduleError::Value(format!(
                    "time_shift_type {} is not known",
                    disk.time_shift_type
                )));
            }
            return Ok(Self::FAMILY);
        }
        if !(LEAST_SHIFT..=MOST_SHIFT).contains(&disk.shift) {
            return Err(ScheduleError::Value(format!(
                "shift is {}, not in {LEAST_SHIFT}..={MOST_SHIFT}",
                disk.shift
            )));
        }
        Ok(Self {
            shift: Shift::Static(disk.shift),
        })
    }

    /// The `scheduler_config.json` that [`Schedule::from_json`] reads back.
    pub fn to_json(&self) -> serde_json::Value {
        let (dynamic, shift) = match self.shift {
            Shift::Dynamic => (true, 3.0),
            Shift::Static(shift) => (false, shift),
        };
        serde_json::json!({
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": shift,
            "use_dynamic_shifting": dynamic,
            "time_shift_type": "exponential",
            "shift_terminal": null,
        })
    }

    /// `steps + 1` falling sigmas, the last one 0, for a picture of `tokens` noisy tokens. No steps are taken as one.
    pub fn sigmas(&self, steps: u32, tokens: i64) -> Vec<f32> {
        let steps = steps.max(1);
        let last = 1.0 / f64::from(steps);
        let stride = if steps > 1 {
            (last - 1.0) / f64::from(steps - 1)
        } else {
            0.0
        };
        (0..steps)
            // Even steps are made in f64 and kept in f32, as the original's tables are.
            .map(|i| (1.0 + stride * f64::from(i)) as f32)
            .map(|even| match self.shift {
                Shift::Dynamic => {
                    let e = dynamic_mu(tokens, steps).exp() as f32;
                    e / (e + (1.0 / even - 1.0))
                }
                Shift::Static(shift) => {
                    let shift = shift as f32;
                    shift * even / (1.0 + (shift - 1.0) * even)
                }
            })
            .chain([0.0])
            .collect()
    }
}

/// The logarithm of the family's shift, fitted by its authors for 10 and 200 steps and mixed linearly between.
fn dynamic_mu(tokens: i64, steps: u32) -> f64 {
    let tokens = tokens as f64;
    let at_200 = 0.000_169_27 * tokens + 0.456_666_66;
    if tokens > 4300.0 {
        return at_200;
    }
    let at_10 = 8.738_095_24e-5 * tokens + 1.898_333_33;
    let slope = (at_200 - at_10) / 190.0;
    slope * f64::from(steps) + (at_200 - 200.0 * slope)
}

/// `x` at sigma `to` from `x` at sigma `from` and the velocity there; in f32.
pub fn step(x: &Tensor, velocity: &Tensor, from: f32, to: f32) -> Tensor {
    x + velocity.to_kind(Kind::Float) * f64::from(to - from)
}

/// What the picture looks like from here: `x - sigma * velocity`; in f32.
pub fn estimate(x: &Tensor, velocity: &Tensor, sigma: f32) -> Tensor {
    x - velocity.to_kind(Kind::Float) * f64::from(sigma)
}

/// The velocity towards a scene, led away from that of its opposite: `opposite + guidance * (towards - opposite)`
/// (<https://arxiv.org/abs/2207.12598>).
pub fn guided(opposite: &Tensor, towards: &Tensor, guidance: f64) -> Tensor {
    opposite + (towards - opposite) * guidance
}

/// `picture` with `noise` at `sigma`: `sigma * noise + (1 - sigma) * picture`.
pub fn noised(picture: &Tensor, noise: &Tensor, sigma: f32) -> Tensor {
    noise * f64::from(sigma) + picture * f64::from(1.0 - sigma)
}

/// The first of `steps` steps that is done when a picture is changed with `strength` in 0..=1; at 1 it is step 0.
pub fn first_step(steps: u32, strength: f32) -> u32 {
    let done = (f64::from(steps) * f64::from(strength)).clamp(0.0, f64::from(steps));
    // 0.6 of 5 steps are 3, although 0.6 in f32 is a little more. At least one step, or nothing would be drawn.
    ((f64::from(steps) - done + 1e-4) as u32).min(steps.saturating_sub(1))
}

/// `x` where `mask` is 1; elsewhere the `picture` noised to `sigma`, so that it ends as it was. All but `sigma` broadcast.
pub fn keep_outside(
    x: &Tensor,
    picture: &Tensor,
    noise: &Tensor,
    mask: &Tensor,
    sigma: f32,
) -> Tensor {
    noised(picture, noise, sigma).lerp_tensor(x, mask)
}
