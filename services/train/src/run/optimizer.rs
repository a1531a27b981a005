//! AdamW (<https://arxiv.org/abs/1711.05101>) and Muon (<https://kellerjordan.github.io/posts/muon>) side by side, with their state as named tensors.

use std::collections::BTreeMap;

use anyhow::Context;
use atelier_models::weights::Weights;
use tch::{Kind, Tensor};

use super::master::Master;

/// How a parameter is stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Two moments of every number.
    AdamW,
    /// An orthogonal step of the whole matrix, or of a convolution as one.
    Muon,
}

/// Learning rates of one step.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of [`Rule::AdamW`].
    pub adam: f64,
    /// Of [`Rule::Muon`].
    pub muon: f64,
}

const BETAS: (f64, f64) = (0.9, 0.98);
const ADAM_EPS: f64 = 1e-8;
const MOMENTUM: f64 = 0.95;
const MUON_DECAY: f64 = 0.01;

enum Slot {
    Adam { first: Tensor, second: Tensor },
    Muon { momentum: Tensor },
}

/// State of all parameters.
pub struct Optimizer {
    slots: BTreeMap<String, Slot>,
    steps: i64,
}

impl Optimizer {
    /// A fresh state; `rule` says by name and shape how each parameter is stepped.
    pub fn new(master: &Master, rule: impl Fn(&str, &[i64]) -> Rule) -> Self {
        let slots = master
            .values()
            .map(|(name, value)| {
                let zeros = || value.detach().zeros_like();
                let slot = match rule(name, &value.size()) {
                    Rule::AdamW => Slot::Adam {
                        first: zeros(),
                        second: zeros(),
                    },
                    Rule::Muon => Slot::Muon { momentum: zeros() },
                };
                (name.clone(), slot)
            })
            .collect();
        Self { slots, steps: 0 }
    }

    /// Steps made so far.
    pub const fn steps(&self) -> i64 {
        self.steps
    }

    /// One step along the gradients of the master, whose common norm is first cut to `most`; gradients are cleared. Returns the norm.
    pub fn step(&mut self, master: &Master, rates: Rates, most: f64) -> f64 {
        self.steps += 1;
        tch::no_grad(|| {
            let squares: Vec<Tensor> = master
                .values()
                .map(|(_, value)| value.grad())
                .filter(Tensor::defined)
                .map(|gradient| gradient.square().sum(Kind::Float))
                .collect();
            if squares.is_empty() {
                return 0.0;
            }
            let norm = Tensor::stack(&squares, 0)
                .sum(Kind::Float)
                .sqrt()
                .double_value(&[]);
            let scale = if norm > most { most / norm } else { 1.0 };
            if norm.is_finite() {
                for (name, value) in master.values() {
                    let gradient = value.grad();
                    if let (true, Some(slot)) = (gradient.defined(), self.slots.get_mut(name)) {
                        slot.step(value, &(gradient * scale), rates, self.steps);
                    }
                }
            }
            for (_, value) in master.values() {
                let mut gradient = value.grad();
                if gradient.defined() {
                    let _ = gradient.zero_();
                }
            }
            norm
        })
    }

    /// Everything that a checkpoint must hold of it.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut all = vec![("optimizer.steps".to_owned(), Tensor::from(self.steps))];
        for (name, slot) in &self.slots {
            for (part, tensor) in slot.parts() {
                all.push((format!("{part}.{name}"), tensor.shallow_clone()));
            }
        }
        all
    }

    /// Takes what [`Self::state`] gave.
    pub fn restore(&mut self, state: &Weights) -> anyhow::Result<()> {
        self.steps = state.get_shaped("optimizer.steps", &[])?.int64_value(&[]);
        for (name, slot) in &mut self.slots {
            for (part, tensor) in slot.parts() {
                let saved = state
                    .get_shaped(&format!("{part}.{name}"), &tensor.size())
                    .context("the checkpoint is of another optimizer")?;
                let mut tensor = tensor.shallow_clone();
                tensor.copy_(&saved);
            }
        }
        Ok(())
    }
}

impl Slot {
    fn parts(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Self::Adam { first, second } => vec![("first", first), ("second", second)],
            Self::Muon { momentum } => vec![("momentum", momentum)],
        }
    }

    fn step(&mut self, value: &Tensor, gradient: &Tensor, rates: Rates, steps: i64) {
        let mut value = value.shallow_clone();
        match self {
            Self::Adam { first, second } => {
                let _ = first.lerp_(gradient, 1.0 - BETAS.0);
                *second *= BETAS.1;
                let _ = second.addcmul_(gradient, &(gradient * (1.0 - BETAS.1)));
                let bias = |beta: f64| 1.0 - beta.powf(steps as f64);
                let mean = &*first * (-rates.adam / bias(BETAS.0));
                let deviation = (&*second / bias(BETAS.1)).sqrt() + ADAM_EPS;
                let _ = value.addcdiv_(&mean, &deviation);
            }
            Self::Muon { momentum } => {
                let _ = momentum.lerp_(gradient, 1.0 - MOMENTUM);
                // Nesterov's look ahead.
                let ahead = gradient.lerp(momentum, MOMENTUM);
                value *= 1.0 - rates.muon * MUON_DECAY;
                // A convolution is the matrix that its patches are multiplied by.
                let step = orthogonal(&ahead.flatten(1, -1)).reshape(value.size());
                value += step * -rates.muon;
            }
        }
    }
}

/// The nearest matrix whose singular values are all about 1, times the root of rows over columns where that is more than 1.
///
/// Newton-Schulz on the smaller Gram matrix instead of on the matrix: every step is a polynomial of it, so that the wide matrix is
/// multiplied only at both ends.
pub fn orthogonal(matrix: &Tensor) -> Tensor {
    const STEPS: usize = 5;
    const POLYNOMIAL: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
    let (rows, columns) = matrix.size2().expect("Muon steps matrices");
    let wide = if rows > columns {
        matrix.transpose(0, 1)
    } else {
        matrix.shallow_clone()
    };
    let wide = &wide / (wide.norm() + 1e-7);
    let mut gram = wide.matmul(&wide.transpose(0, 1));
    let one = Tensor::eye(gram.size()[0], (Kind::Float, gram.device()));
    let mut all = one.shallow_clone();
    for step in 0..STEPS {
        let (a, b, c) = POLYNOMIAL;
        let polynomial = (&one * a)
            .g_add(&(&gram * b))
            .g_add(&(gram.matmul(&gram) * c));
        all = if step == 0 {
            polynomial.shallow_clone()
        } else {
            polynomial.matmul(&all)
        };
        if step + 1 < STEPS {
            gram = polynomial.matmul(&gram).matmul(&polynomial);
        }
    }
    let result = all.matmul(&wide);
    let result = if rows > columns {
        result.transpose(0, 1)
    } else {
        result
    };
    result * (rows as f64 / columns as f64).max(1.0).sqrt()
}
