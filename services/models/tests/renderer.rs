//! The parts of a renderer against what diffusers computes with a small random checkpoint, where the suite of parity does not look: other
//! kinds of numbers, gradients, batches, boxes.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::path::{Path, PathBuf};

use atelier_models::{
    renderer::{
        TransformerInput,
        autoencoder::{Autoencoder, AutoencoderConfig},
        klein::{Transformer, TransformerConfig},
        regions::{self, Grid, Layout, OUTSIDE, Positions, ThingTokens},
        schedule::{Schedule, Shift},
    },
    weights::Weights,
};
use tch::{Device, Kind, Tensor};

/// Largest difference that f32 arithmetic in another order explains.
const SAME: f64 = 2e-5;

const GRID: Grid = Grid {
    rows: 4,
    columns: 6,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/tiny/klein")
        .join(name)
}

/// They are stored in bf16; the dumps were computed in f32.
fn weights(part: &str) -> Weights {
    Weights::load_dir(&fixture(part))
        .unwrap()
        .to_kind(Kind::Float)
}

struct Reference(Weights);

impl Reference {
    fn load(dump: &str) -> Self {
        let path = format!("../../ref/{dump}.safetensors");
        Self(Weights::load_file(&fixture(&path)).unwrap())
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
    Transformer::load(&config(), &weights("transformer")).unwrap()
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

#[test]
fn one_pass_is_that_of_diffusers() {
    let reference = Reference::load("klein");
    let ids = |name: &str| reference.get(name).to_kind(Kind::Float);
    let (noisy, text, times) = (
        reference.get("step.hidden_states"),
        reference.get("step.encoder_hidden_states"),
        reference.get("step.timestep"),
    );
    let (image_ids, text_ids) = (ids("step.img_ids"), ids("step.txt_ids"));
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
fn regions_tie_what_the_masks_of_the_dumps_tie() {
    let thing = |bbox| ThingTokens {
        text: 32,
        bbox: Some(bbox),
        reference: None,
    };
    let layout = Layout {
        base: 32,
        things: vec![thing([0.0, 0.25, 0.5, 1.0]), thing([0.5, 0.0, 1.0, 0.6])],
    };
    let bias = Positions::Family
        .arrange(GRID, &[layout], Device::Cpu)
        .bias
        .unwrap()
        .squeeze();
    // 1 where attention may go; there the text of the whole picture does not see that of things, here it sees everything.
    let seen = Reference::load("klein_regional").get("soft.mask").copy();
    let _ = seen.narrow(0, 0, 32).fill_(1);
    let _ = seen.narrow(1, 0, 32).fill_(1);
    let expected = (1.0 - seen.to_kind(Kind::Float)) * f64::from(OUTSIDE);
    assert_eq!(bias, expected);
}

#[test]
fn schedules_are_those_of_diffusers() {
    let reference = Reference::load("sched");
    let fixed = Schedule {
        shift: Shift::Static(3.0),
    };
    for steps in 1..=8 {
        for tokens in [24, 1024, 2304, 4096, 4301, 8192, 16384] {
            assert_same(
                &Tensor::from_slice(&Schedule::FAMILY.sigmas(steps, tokens)),
                &reference.get(&format!("klein.{steps}.{tokens}")),
                2e-7,
            );
        }
        assert_same(
            &Tensor::from_slice(&fixed.sigmas(steps, 64)),
            &reference.get(&format!("zimage.{steps}")),
            2e-7,
        );
    }
}

#[test]
fn pictures_are_encoded_and_decoded_as_diffusers_does() {
    let reference = Reference::load("klein");
    let config =
        AutoencoderConfig::from_json(&std::fs::read(fixture("vae/config.json")).unwrap()).unwrap();
    let autoencoder = Autoencoder::load(&config, &weights("vae")).unwrap();
    let encoded = autoencoder.encode(&reference.get("vae.pixels"));
    assert_same(&encoded, &reference.get("vae.patched_normed"), SAME);
    let tokens = regions::from_tokens(&reference.get("pipe.step3.latents"), GRID);
    let decoded = autoencoder.decode(&tokens);
    assert!(decoded.abs().max().double_value(&[]) <= 1.0);
    let bytes = reference.get("pipe.image_u8").to_kind(Kind::Float);
    let expected = (bytes / 127.5 - 1.0).permute([2, 0, 1]).unsqueeze(0);
    // The dump has rounded to bytes: half of one, of 127.5.
    assert_same(&decoded, &expected, 0.5 / 127.5 + 1e-4);
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
        .map(|l| random(10, [l.text_tokens() as i64, 72]))
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
            reference: regions::pad(&shown[chosen.clone()]).as_ref(),
            text: &regions::pad(&text[chosen.clone()]).unwrap(),
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
    let reference = Reference::load("klein");
    let ids = |name: &str| reference.get(name).to_kind(Kind::Float);
    network
        .forward(&TransformerInput {
            noisy: &reference.get("step.hidden_states"),
            reference: None,
            text: &reference.get("step.encoder_hidden_states"),
            times: &reference.get("step.timestep"),
            image_ids: &ids("step.img_ids"),
            text_ids: &ids("step.txt_ids"),
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
