//! The renderer against what diffusers computes with a small random checkpoint.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::path::{Path, PathBuf};

use atelier_models::{
    renderer::{
        TransformerInput,
        autoencoder::{Autoencoder, AutoencoderConfig},
        klein::{Transformer, TransformerConfig},
        regions::{Grid, Layout, Positions, ThingTokens},
        schedule::{self, Schedule, Shift},
    },
    weights::Weights,
};
use tch::{Device, Kind, Tensor};

/// Largest difference that f32 arithmetic in another order explains, over four steps.
const SAME: f64 = 2e-5;

const GRID: Grid = Grid {
    rows: 4,
    columns: 6,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/klein")
        .join(name)
}

struct Reference(Weights);

impl Reference {
    fn load() -> Self {
        Self(Weights::load_file(&fixture("reference.safetensors")).unwrap())
    }

    fn get(&self, name: &str) -> Tensor {
        self.0.get(name).unwrap()
    }
}

fn config() -> TransformerConfig {
    TransformerConfig::from_json(&std::fs::read(fixture("transformer/config.json")).unwrap())
        .unwrap()
}

fn transformer() -> Transformer {
    Transformer::load(
        &config(),
        &Weights::load_dir(&fixture("transformer")).unwrap(),
    )
    .unwrap()
}

#[track_caller]
fn assert_same(found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.size(), expected.size());
    let difference = (found.to_kind(Kind::Float) - expected)
        .abs()
        .max()
        .double_value(&[]);
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    assert!(
        difference <= tolerance * scale,
        "differs by {difference:e} at scale {scale}"
    );
}

/// Four Euler steps of the family's schedule.
fn sample(
    network: &Transformer,
    noisy: Tensor,
    reference: Option<&Tensor>,
    text: &Tensor,
    layout: &Layout,
) -> Tensor {
    let arranged = Positions::Family.arrange(GRID, std::slice::from_ref(layout), Device::Cpu);
    let sigmas = Schedule::FAMILY.sigmas(4, GRID.tokens() as i64);
    sigmas.windows(2).fold(noisy, |x, pair| {
        let velocity = network.forward(&TransformerInput {
            noisy: &x,
            reference,
            text,
            times: &Tensor::from_slice(&pair[..1]),
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: arranged.bias.as_ref(),
            layers: None,
        });
        schedule::step(&x, &velocity, pair[0], pair[1])
    })
}

#[test]
fn one_pass_is_that_of_diffusers() {
    let reference = Reference::load();
    let ids = |name: &str| reference.get(name).unsqueeze(0).expand([2, -1, -1], false);
    let (noisy, text, times) = (
        reference.get("step.noisy"),
        reference.get("step.text"),
        reference.get("step.times"),
    );
    let (image_ids, text_ids) = (ids("step.image_ids"), ids("step.text_ids"));
    let input = TransformerInput {
        noisy: &noisy,
        reference: None,
        text: &text,
        times: &times,
        image_ids: &image_ids,
        text_ids: &text_ids,
        bias: None,
        layers: None,
    };
    assert_same(
        &transformer().forward(&input),
        &reference.get("step.out"),
        5e-6,
    );
    // The same numbers in bf16 are near, not equal.
    let half = Weights::load_dir(&fixture("transformer"))
        .unwrap()
        .to_kind(Kind::BFloat16);
    let half = Transformer::load(&config(), &half).unwrap();
    assert_eq!(half.kind(), Kind::BFloat16);
    assert_same(&half.forward(&input), &reference.get("step.out"), 0.06);
    // ... and so is the path that training takes in bf16 on the CPU, gradients on.
    let trained = Weights::load_dir(&fixture("transformer"))
        .unwrap()
        .to_kind(Kind::BFloat16);
    for name in trained.names() {
        let _ = trained.get(&name).unwrap().set_requires_grad(true);
    }
    let trained = Transformer::load(&config(), &trained).unwrap();
    assert_same(
        &trained.forward(&input).detach(),
        &reference.get("step.out"),
        0.06,
    );
}

#[test]
fn the_names_of_the_parameters_are_those_of_the_checkpoint() {
    let weights = Weights::load_dir(&fixture("transformer")).unwrap();
    let mut own: Vec<String> = config()
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    own.sort();
    assert_eq!(own, weights.names());
    let written = config().to_json().to_string();
    assert_eq!(
        TransformerConfig::from_json(written.as_bytes()).unwrap(),
        config()
    );
}

#[test]
fn regions_tie_as_the_additive_mask_of_diffusers_does() {
    let reference = Reference::load();
    let thing = |text, bbox| ThingTokens {
        text,
        bbox: Some(bbox),
        reference: None,
    };
    let layout = Layout {
        base: 5,
        things: vec![
            thing(4, [0.0, 0.25, 0.5, 1.0]),
            thing(3, [0.5, 0.0, 1.0, 0.6]),
        ],
    };
    let bias = Positions::Family
        .arrange(GRID, std::slice::from_ref(&layout), Device::Cpu)
        .bias;
    assert_eq!(bias.unwrap().squeeze(), reference.get("regions.bias"));
    let out = sample(
        &transformer(),
        reference.get("regions.noisy"),
        None,
        &reference.get("regions.text"),
        &layout,
    );
    assert_same(&out, &reference.get("regions.out"), SAME);
}

#[test]
fn references_are_pictures_at_times_of_their_own() {
    let reference = Reference::load();
    let clean = Tensor::cat(
        &[
            reference.get("references.first"),
            reference.get("references.second"),
        ],
        1,
    );
    let shown = |rows, columns| ThingTokens {
        reference: Some(Grid { rows, columns }),
        ..Default::default()
    };
    let layout = Layout {
        base: 6,
        things: vec![shown(2, 3), shown(3, 2)],
    };
    let out = sample(
        &transformer(),
        reference.get("references.noisy"),
        Some(&clean),
        &reference.get("references.text"),
        &layout,
    );
    assert_same(&out, &reference.get("references.out"), SAME);
}

#[test]
fn a_repair_steps_as_diffusers_inpaints() {
    let reference = Reference::load();
    let [picture, noise, text, mask] =
        ["picture", "noise", "text", "mask"].map(|name| reference.get(&format!("repair.{name}")));
    let layout = Layout {
        base: 6,
        things: vec![ThingTokens {
            reference: Some(GRID),
            ..Default::default()
        }],
    };
    let arranged = Positions::Family.arrange(GRID, &[layout], Device::Cpu);
    let sigmas = Schedule::FAMILY.sigmas(4, GRID.tokens() as i64);
    let first = schedule::first_step(4, 0.75) as usize;
    assert_eq!(first, 1);
    let network = transformer();
    let mut x = schedule::noised(&picture, &noise, sigmas[first]);
    for pair in sigmas[first..].windows(2) {
        let velocity = network.forward(&TransformerInput {
            noisy: &x,
            reference: Some(&picture),
            text: &text,
            times: &Tensor::from_slice(&pair[..1]),
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: None,
            layers: None,
        });
        x = schedule::keep_outside(
            &schedule::step(&x, &velocity, pair[0], pair[1]),
            &picture,
            &noise,
            &mask,
            pair[1],
        );
    }
    assert_same(&x, &reference.get("repair.out"), SAME);
}

#[test]
fn schedules_are_those_of_diffusers() {
    let reference = Reference::load();
    for steps in 1..=8 {
        for tokens in [24, 1024, 2304, 4096, 4301, 8192, 16384] {
            let sigmas = Schedule::FAMILY.sigmas(steps, tokens);
            assert_same(
                &Tensor::from_slice(&sigmas),
                &reference.get(&format!("sigmas.{steps}.{tokens}")),
                2e-7,
            );
        }
    }
    let fixed = Schedule {
        shift: Shift::Static(1.5),
    };
    assert_same(
        &Tensor::from_slice(&fixed.sigmas(6, 64)),
        &reference.get("sigmas.static.6"),
        2e-7,
    );
}

#[test]
fn pictures_are_encoded_and_decoded_as_diffusers_does() {
    let reference = Reference::load();
    let config =
        AutoencoderConfig::from_json(&std::fs::read(fixture("vae/config.json")).unwrap()).unwrap();
    let autoencoder =
        Autoencoder::load(&config, &Weights::load_dir(&fixture("vae")).unwrap()).unwrap();
    let encoded = autoencoder.encode(&reference.get("pictures.in"));
    assert_same(&encoded, &reference.get("pictures.encoded"), SAME);
    let decoded = autoencoder.decode(&reference.get("pictures.tokens"));
    assert_same(
        &decoded,
        &reference.get("pictures.decoded").clamp(-1.0, 1.0),
        SAME,
    );
}

#[test]
fn a_batch_is_its_members_alone() {
    let network = transformer();
    let grid = Grid {
        rows: 3,
        columns: 3,
    };
    let random = |seed, shape: [i64; 2]| {
        atelier_models::renderer::noise::gaussian(seed, shape[0], shape[1], Device::Cpu)
            .squeeze_dim(0)
    };
    let thing = |text, side: usize| ThingTokens {
        text,
        bbox: Some([0.0, 0.0, side as f32 / 3.0, side as f32 / 3.0]),
        reference: Some(Grid {
            rows: side,
            columns: side,
        }),
    };
    let layouts = [
        Layout {
            base: 2,
            things: vec![thing(3, 1)],
        },
        Layout {
            base: 4,
            things: vec![thing(2, 2), thing(1, 1)],
        },
    ];
    let noisy: Vec<Tensor> = (0..2).map(|i| random(i, [9, 16])).collect();
    let text: Vec<Tensor> = layouts
        .iter()
        .map(|l| random(10, [l.text_tokens() as i64, 24]))
        .collect();
    let shown: Vec<Tensor> = layouts
        .iter()
        .map(|l| random(20, [l.reference_tokens() as i64, 16]))
        .collect();
    let times = [0.8f32, 0.3];
    let pass = |chosen: std::ops::Range<usize>| {
        let arranged = Positions::Placed.arrange(grid, &layouts[chosen.clone()], Device::Cpu);
        network.forward(&TransformerInput {
            noisy: &Tensor::stack(&noisy[chosen.clone()], 0),
            reference: atelier_models::renderer::regions::pad(&shown[chosen.clone()]).as_ref(),
            text: &atelier_models::renderer::regions::pad(&text[chosen.clone()]).unwrap(),
            times: &Tensor::from_slice(&times[chosen]),
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: arranged.bias.as_ref(),
            layers: None,
        })
    };
    let together = pass(0..2);
    for i in 0..2 {
        assert_same(&together.narrow(0, i as i64, 1), &pass(i..i + 1), 5e-6);
    }
}

#[test]
fn every_parameter_gets_a_gradient() {
    let trained: Vec<(String, Tensor)> = config()
        .parameters()
        .into_iter()
        .map(|(name, shape)| {
            (
                name,
                (Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.2).set_requires_grad(true),
            )
        })
        .collect();
    let shared = trained
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
        .collect();
    let network = Transformer::load(&config(), &Weights::from_map(shared)).unwrap();
    let reference = Reference::load();
    let ids = |name: &str| reference.get(name).unsqueeze(0).expand([2, -1, -1], false);
    network
        .forward(&TransformerInput {
            noisy: &reference.get("step.noisy"),
            reference: None,
            text: &reference.get("step.text"),
            times: &reference.get("step.times"),
            image_ids: &ids("step.image_ids"),
            text_ids: &ids("step.text_ids"),
            bias: None,
            layers: None,
        })
        .square()
        .mean(Kind::Float)
        .backward();
    for (name, tensor) in &trained {
        assert!(
            tensor.grad().defined() && tensor.grad().abs().sum(Kind::Float).double_value(&[]) > 0.0,
            "{name}"
        );
    }
}
