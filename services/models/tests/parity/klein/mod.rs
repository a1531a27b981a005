//! FLUX.2 klein against diffusers.

mod drawing;
mod mistakes;

use std::collections::HashMap;

use atelier_models::renderer::{
    Network, Renderer, TransformerInput,
    klein::Transformer,
    regions::{Grid, Layout, Positions, ThingTokens},
    schedule,
};
use tch::{Device, Kind, Tensor};

use super::{
    Comparison, Failure, Mutation, Subject, assert_all_caught, assert_parity,
    pictures::{self, compare_autoencoder},
};

fn load(subject: &Subject) -> Result<Renderer, Failure> {
    Ok(Renderer::load(&subject.checkpoint, Device::Cpu)?)
}

fn transformer(renderer: &Renderer) -> Result<&Transformer, Failure> {
    match renderer.network() {
        Network::Klein(network) => Ok(network),
        Network::ZImage(_) => Err("it is not of this family".into()),
    }
}

/// One pass, block by block.
fn one_pass(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let mut seen = HashMap::new();
    let out = tch::no_grad(|| -> Result<Tensor, Failure> {
        let float = |name| Ok::<_, Failure>(subject.tensor(name)?.to_kind(Kind::Float));
        Ok(transformer(&renderer)?.forward_observed(
            &TransformerInput {
                noisy: &subject.tensor("step.hidden_states")?,
                reference: None,
                text: &subject.tensor("step.encoder_hidden_states")?,
                times: &subject.tensor("step.timestep")?,
                image_ids: &float("step.img_ids")?,
                text_ids: &float("step.txt_ids")?,
                bias: None,
                layers: None,
            },
            &mut |name, index, tensor| {
                seen.insert(format!("{name}.{index}"), tensor.shallow_clone());
            },
        ))
    })?;
    comparison.near("time", &seen["time.0"], &subject.tensor("step.temb")?);
    for i in 0.. {
        let Some(text) = seen.get(&format!("double.text.{i}")) else {
            break;
        };
        let image = &seen[&format!("double.image.{i}")];
        let block = |part| subject.tensor(&format!("step.double.{i}.{part}"));
        comparison.near(&format!("double.{i}, text"), text, &block(0)?);
        comparison.near(&format!("double.{i}, image"), image, &block(1)?);
    }
    for i in 0.. {
        let Some(found) = seen.get(&format!("single.{i}")) else {
            break;
        };
        let name = format!("step.single.{i}");
        comparison.near(&name, found, &subject.tensor(&name)?);
    }
    comparison.near("velocity", &out, &subject.tensor("step.out")?);
    Ok(())
}

/// The autoencoder, level by level, and tokens of a picture.
fn autoencoder(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let pixels = compare_autoencoder(subject, &renderer, comparison)?;
    let encoded = tch::no_grad(|| renderer.autoencoder().encode(&pixels));
    comparison.near("tokens", &encoded, &subject.tensor("vae.patched_normed")?);
    Ok(())
}

/// Attention under the reference's masks and bias, text counted from 0 in every region.
fn regional(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let network = transformer(&renderer)?;
    let text = subject.tensor("prompt_embeds")?;
    let start = subject.tensor("latents")?;
    let length = text.size()[1] as usize / 3;
    let grid = Grid::of(96, 64);
    let thing = || ThingTokens {
        text: length,
        ..Default::default()
    };
    let layout = Layout {
        base: length,
        things: vec![thing(), thing()],
    };
    let arranged = Positions::Family.arrange(grid, &[layout], Device::Cpu);
    let exact = |name: &str| subject.tensor(name).map(|ids| ids.to_kind(Kind::Float));
    comparison.within(1e-9, "text ids", &arranged.text_ids, &exact("txt_ids")?);
    comparison.within(1e-9, "image ids", &arranged.image_ids, &exact("img_ids")?);
    let sigmas = renderer.schedule().sigmas(4, grid.tokens() as i64);
    for name in ["soft", "hard", "grad"] {
        let bias = if name == "grad" {
            subject.tensor("grad.bias")?
        } else {
            let seen = subject.tensor(&format!("{name}.mask"))?.to_kind(Kind::Bool);
            Tensor::zeros(seen.size(), (Kind::Float, Device::Cpu))
                .masked_fill(&seen.logical_not(), f64::NEG_INFINITY)
        };
        let mut x = start.shallow_clone();
        for (i, pair) in sigmas.windows(2).enumerate() {
            let velocity = tch::no_grad(|| {
                network.forward(&TransformerInput {
                    noisy: &x,
                    reference: None,
                    text: &text,
                    times: &Tensor::from_slice(&pair[..1]),
                    image_ids: &arranged.image_ids,
                    text_ids: &arranged.text_ids,
                    bias: Some(&bias.unsqueeze(0).unsqueeze(0)),
                    layers: None,
                })
            });
            let key = format!("{name}.v{i}");
            comparison.near(&key, &velocity, &subject.tensor(&key)?);
            x = schedule::step(&x, &velocity, pair[0], pair[1]);
        }
    }
    Ok(())
}

/// All tables of sigmas.
fn schedules(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    for steps in 1..=8u32 {
        for tokens in [24, 1024, 2304, 4096, 4301, 8192, 16384] {
            let name = format!("klein.{steps}.{tokens}");
            let found = Tensor::from_slice(&renderer.schedule().sigmas(steps, tokens));
            comparison.within(2e-7, &name, &found, &subject.tensor(&name)?);
        }
    }
    Ok(())
}

#[test]
fn klein_passes_as_diffusers_does() {
    assert_parity("klein", "klein", one_pass);
}

#[test]
fn klein_pictures_are_encoded_and_decoded_as_diffusers_does() {
    assert_parity("klein", "klein", autoencoder);
}

#[test]
fn klein_regions_attend_as_diffusers_does() {
    assert_parity("klein", "klein_regional", regional);
}

#[test]
fn klein_schedules_are_those_of_diffusers() {
    assert_parity("klein", "sched", schedules);
}
