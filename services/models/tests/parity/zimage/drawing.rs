//! Drawing: from text, with guidance, and from a picture.

use atelier_models::renderer::{
    Canvas, Drawing, Noise, RenderScene, Renderer, TransformerInput,
    regions::{self, Grid, Positions},
    schedule,
};
use tch::{Device, Kind, Tensor};

use super::{
    Comparison, Failure, Subject, assert_parity, caption, load,
    pictures::{compare_bytes, picture, states},
    tokens, transformer,
};

fn scene(states: Tensor) -> RenderScene {
    RenderScene {
        base: states,
        things: Vec::new(),
        negative: None,
    }
}

/// Draws 96 x 64 pixels from the dump's latents; gives the tokens after each step, too.
fn draw(
    subject: &Subject,
    renderer: &Renderer,
    scene: &RenderScene,
    steps: u32,
) -> Result<(image::RgbImage, Vec<Tensor>), Failure> {
    let noise = tokens(&subject.tensor("pipe.latents")?).squeeze_dim(0);
    let drawing = Drawing {
        scene,
        noise: Noise::Tokens(&noise),
        canvas: Canvas::Blank(Some((96, 64))),
    };
    let mut seen = Vec::new();
    let drawn = renderer.draw_observed(
        &[drawing],
        Some(steps),
        &mut |_, _, _, _| true,
        &mut |name, _, tensor| {
            if name == "tokens" {
                seen.push(tensor.shallow_clone());
            }
        },
    );
    Ok((drawn.into_iter().next().ok_or("nothing was drawn")??, seen))
}

/// A picture from text: every step, then the bytes.
pub fn text_to_image(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    comparison.equal("steps", &renderer.config().steps, &8);
    let prompt: String = subject.fact("prompt")?;
    let scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        &prompt,
    )?);
    let (drawn, seen) = draw(subject, &renderer, &scene, 5)?;
    for (i, found) in seen.iter().enumerate() {
        let name = format!("pipe.step{i}.latents");
        comparison.near(&name, found, &tokens(&subject.tensor(&name)?));
    }
    compare_bytes(
        comparison,
        "picture",
        &drawn,
        &subject.tensor("pipe.image_u8")?,
    );
    Ok(())
}

/// Guidance away from a negative prompt.
fn guidance(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let subject_of_mine = subject.copy();
    // The dump's 4 counts from 0, and 0 is no guidance.
    let used = r#"{"positions":"counted","steps":3,"width":96,"height":64,"guidance":5}"#;
    std::fs::write(subject_of_mine.checkpoint.join("renderer.json"), used)?;
    let renderer = load(&subject_of_mine)?;
    let prompt: String = subject.fact("prompt")?;
    let mut scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        &prompt,
    )?);
    let negative = states(
        subject,
        &renderer,
        comparison,
        "cfg.negative_embeds",
        "blurry",
    )?;
    scene.negative = Some(negative);
    let (_, seen) = draw(subject, &renderer, &scene, 3)?;
    comparison.near(
        "latents",
        &seen[2],
        &tokens(&subject.tensor("cfg.latents")?),
    );
    Ok(())
}

/// From a picture: three of five steps. The original draws from the picture's posterior where drawing takes its mean.
pub fn image_to_image(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let _no_grad = tch::no_grad_guard();
    let renderer = load(subject)?;
    let network = transformer(&renderer)?;
    let source = picture(&subject.tensor("i2i.image_u8")?);
    let grid = Grid::of(source.width(), source.height());
    let pixels = (subject.tensor("i2i.image_u8")?.to_kind(Kind::Float) / 127.5 - 1.0)
        .permute([2, 0, 1])
        .unsqueeze(0)
        .contiguous();
    let (mean, log_variance) = renderer.autoencoder().moments(&pixels);
    let drawn = mean + (log_variance * 0.5).exp() * subject.tensor("i2i.posterior_noise")?;
    let clean = tokens(&((drawn - 0.1159) * 0.3611));
    let noise = tokens(&subject.tensor("i2i.noise")?);

    let night = "the same scene at night";
    let states = states(subject, &renderer, comparison, "i2i.prompt_embeds", night)?;
    let real = states.size()[0];
    let (layout, all) = caption(real as usize);
    let arranged = Positions::Counted.arrange(grid, &[layout], Device::Cpu);
    let text = network.captions(
        &states.constant_pad_nd([0, 0, 0, all - real]).unsqueeze(0),
        &[real],
        &arranged.text_ids,
        None,
        &mut |_, _, _| {},
    );
    let sigmas = renderer.schedule().sigmas(5, grid.tokens() as i64);
    let first = schedule::first_step(5, 0.6) as usize;
    comparison.equal("first step", &first, &2);
    let mut x = schedule::noised(&clean, &noise, sigmas[first]);
    for pair in sigmas[first..].windows(2) {
        let velocity = network.forward(&TransformerInput {
            noisy: &x,
            reference: None,
            text: &text,
            times: &Tensor::from_slice(&pair[..1]),
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: None,
            layers: None,
        });
        x = schedule::step(&x, &velocity, pair[0], pair[1]);
    }
    comparison.near("latents", &x, &tokens(&subject.tensor("i2i.latents_out")?));
    // What drawing starts from is the mean.
    let own = regions::to_tokens(&renderer.autoencoder().encode(&pixels));
    let mean = renderer.autoencoder().moments(&pixels).0;
    comparison.near("mean as tokens", &own, &tokens(&((mean - 0.1159) * 0.3611)));
    Ok(())
}

#[test]
fn z_image_draws_as_diffusers_does() {
    assert_parity("zimage", "zimage", text_to_image);
}

#[test]
fn z_image_is_guided_as_diffusers_does() {
    assert_parity("zimage", "zimage", guidance);
}

#[test]
fn z_image_draws_from_a_picture_as_diffusers_does() {
    assert_parity("zimage", "zimage", image_to_image);
}
