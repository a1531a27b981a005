//! Z-Image against diffusers.

mod drawing;
mod mistakes;

use std::collections::HashMap;

use atelier_models::renderer::{
    Network, Renderer, TransformerInput,
    regions::{Grid, Layout, Positions, ThingTokens},
    zimage::{PAD_MULTIPLE, ZImageTransformer},
};
use tch::{Device, Tensor};

use super::{
    Comparison, Failure, Mutation, Subject, assert_all_caught, assert_parity,
    pictures::{self, compare_autoencoder},
};

fn load(subject: &Subject) -> Result<Renderer, Failure> {
    Ok(Renderer::load(&subject.checkpoint, Device::Cpu)?)
}

fn transformer(renderer: &Renderer) -> Result<&ZImageTransformer, Failure> {
    match renderer.network() {
        Network::ZImage(network) => Ok(network),
        Network::Klein(_) => Err("it is not of this family".into()),
    }
}

/// Latents `(B, C, h, w)` as tokens `(B, h * w / 4, 4 C)`: the channels of a place side by side.
fn tokens(latents: &Tensor) -> Tensor {
    let (b, c, h, w) = latents.size4().unwrap();
    latents
        .reshape([b, c, h / 2, 2, w / 2, 2])
        .permute([0, 2, 4, 3, 5, 1])
        .reshape([b, h * w / 4, 4 * c])
}

/// The layout of a caption of `real` states, and how many with filling.
fn caption(real: usize) -> (Layout, i64) {
    let all = real.next_multiple_of(PAD_MULTIPLE);
    let filling = ThingTokens {
        text: all - real,
        ..Default::default()
    };
    let layout = Layout {
        base: real,
        things: vec![filling],
    };
    (layout, all as i64)
}

/// Two captions of different length in one pass, block by block.
fn one_pass(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let _no_grad = tch::no_grad_guard();
    let renderer = load(subject)?;
    let network = transformer(&renderer)?;
    let captions = [subject.tensor("step.cap0")?, subject.tensor("step.cap1")?];
    let real = captions.each_ref().map(|states| states.size()[0]);
    let filled = real.map(|real| caption(real as usize));
    let longest = filled.iter().map(|(_, all)| *all).max().unwrap_or(0);
    // (2, C, 1, h, w)
    let x = subject.tensor("step.x")?.squeeze_dim(2);
    let grid = Grid {
        rows: x.size()[2] as usize / 2,
        columns: x.size()[3] as usize / 2,
    };
    let layouts = filled.each_ref().map(|(layout, _)| layout.clone());
    let arranged = Positions::Counted.arrange(grid, &layouts, Device::Cpu);
    let states = captions.map(|states| {
        let more = longest - states.size()[0];
        states.constant_pad_nd([0, 0, 0, more])
    });
    let mut seen = HashMap::new();
    let mut observe = |name: &'static str, index: usize, tensor: &Tensor| {
        seen.insert(format!("{name}.{index}"), tensor.shallow_clone());
    };
    let among = arranged
        .bias
        .as_ref()
        .map(|bias| bias.narrow(2, 0, longest).narrow(3, 0, longest));
    let text = network.captions(
        &Tensor::stack(&states, 0),
        &real,
        &arranged.text_ids,
        among.as_ref(),
        &mut observe,
    );
    let out = network.forward_observed(
        &TransformerInput {
            noisy: &tokens(&x),
            reference: None,
            text: &text,
            // The dump's time runs from noise to picture.
            times: &(1.0 - subject.tensor("step.t")?),
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: arranged.bias.as_ref(),
            layers: None,
        },
        &mut observe,
    );
    comparison.near("time", &seen["time.0"], &subject.tensor("step.t_emb")?);
    let image = seen["patches.0"].size()[1];
    for i in 0..2 {
        let name = format!("step.noise_refiner.{i}");
        comparison.near(
            &name,
            &seen[&format!("noise_refiner.{i}")],
            &subject.tensor(&name)?,
        );
    }
    for (row, (_, all)) in (0i64..).zip(&filled) {
        // What only fills the batch is not compared.
        let own = |tensor: &Tensor, from, count| tensor.get(row).narrow(0, from, count);
        for i in 0..2 {
            let dumped = subject.tensor(&format!("step.context_refiner.{i}"))?;
            comparison.near(
                &format!("context_refiner.{i} of caption {row}"),
                &own(&seen[&format!("context_refiner.{i}")], 0, *all),
                &own(&dumped, 0, *all),
            );
        }
        for i in 0.. {
            let Some(found) = seen.get(&format!("layer.{i}")) else {
                break;
            };
            let dumped = subject.tensor(&format!("step.layers.{i}"))?;
            // The original has the image first.
            comparison.near(
                &format!("layer {i}, image {row}"),
                &own(found, longest, image),
                &own(&dumped, 0, image),
            );
            comparison.near(
                &format!("layer {i}, caption {row}"),
                &own(found, 0, *all),
                &own(&dumped, image, *all),
            );
        }
    }
    let dumped = tokens(&subject.tensor("step.out")?.squeeze_dim(2));
    comparison.near("velocity", &out, &dumped.neg());
    Ok(())
}

fn autoencoder(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    compare_autoencoder(subject, &load(subject)?, comparison).map(|_| ())
}

fn schedules(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    for steps in 1..=8u32 {
        let name = format!("zimage.{steps}");
        let found = Tensor::from_slice(&renderer.schedule().sigmas(steps, 4096));
        comparison.within(2e-7, &name, &found, &subject.tensor(&name)?);
    }
    Ok(())
}

#[test]
fn z_image_passes_as_diffusers_does() {
    assert_parity("zimage", "zimage", one_pass);
}

#[test]
fn z_image_pictures_are_encoded_and_decoded_as_diffusers_does() {
    assert_parity("zimage", "zimage", autoencoder);
}

#[test]
fn z_image_schedules_are_those_of_diffusers() {
    assert_parity("zimage", "sched", schedules);
}
