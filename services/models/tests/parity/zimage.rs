//! Z-Image against diffusers.

use std::collections::HashMap;

use atelier_models::renderer::{
    Canvas, Drawing, Network, Noise, RenderScene, Renderer, TransformerInput,
    regions::{self, Grid, Layout, Positions, ThingTokens},
    schedule,
    zimage::{PAD_MULTIPLE, ZImageTransformer},
};
use tch::{Device, Kind, Tensor};

use super::{
    Comparison, Failure, Mutation, Subject, assert_all_caught, assert_parity,
    pictures::{compare_autoencoder, compare_bytes, picture, states},
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
fn text_to_image(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
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
fn image_to_image(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
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

#[test]
fn z_image_schedules_are_those_of_diffusers() {
    assert_parity("zimage", "sched", schedules);
}

/// Swaps two of `parts` equal parts of the first dimension.
fn swapped(tensor: &Tensor, parts: i64, a: usize, b: usize) -> Tensor {
    let mut chunks = tensor.chunk(parts, 0);
    chunks.swap(a, b);
    Tensor::cat(&chunks, 0)
}

const TRANSFORMER: &str = "transformer";

#[test]
fn mistakes_in_z_image_s_transformer_are_caught() {
    let mutations = [
        Mutation::new("base of the rotation", |s| {
            s.change_json("transformer/config.json", |c| {
                c["rope_theta"] = 10_000.into()
            });
        }),
        Mutation::new("order of the axes", |s| {
            s.change_json("transformer/config.json", |c| {
                c["axes_dims"].as_array_mut().unwrap().swap(1, 2);
            });
        }),
        Mutation::new("epsilon of the norms", |s| {
            s.change_json("transformer/config.json", |c| c["norm_eps"] = 1e-1.into());
        }),
        Mutation::new("time the other way round", |s| {
            s.change_input("step.t", |t| 1.0 - t);
        }),
        Mutation::new("a caption one token shorter", |s| {
            s.change_input("step.cap0", |x| x.narrow(0, 0, x.size()[0] - 1));
        }),
        Mutation::new("filling of zeros for text", |s| {
            s.change_tensor(TRANSFORMER, "cap_pad_token", Tensor::zeros_like);
        }),
        Mutation::new("filling of zeros for the image", |s| {
            s.change_tensor(TRANSFORMER, "x_pad_token", Tensor::zeros_like);
        }),
        Mutation::new("gates before scales", |s| {
            s.change_tensor(TRANSFORMER, "layers.0.adaLN_modulation.0.weight", |w| {
                swapped(w, 4, 0, 1)
            });
        }),
        Mutation::new("branches of the modulation swapped", |s| {
            s.change_tensor(
                TRANSFORMER,
                "noise_refiner.0.adaLN_modulation.0.bias",
                |w| swapped(w, 4, 1, 3),
            );
        }),
        Mutation::new("gate and value of the gated part swapped", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                let [w1, w3] = ["w1", "w3"].map(|w| format!("layers.1.feed_forward.{w}.weight"));
                let (a, b) = (all[&w1].copy(), all[&w3].copy());
                all.insert(w1, b);
                all.insert(w3, a);
            });
        }),
        Mutation::new("norms before and after attention swapped", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                let [before, after] =
                    ["1", "2"].map(|i| format!("layers.0.attention_norm{i}.weight"));
                let (a, b) = (all[&before].copy(), all[&after].copy());
                all.insert(before, b);
                all.insert(after, a);
            });
        }),
        Mutation::new("no norm of queries", |s| {
            s.change_tensor(
                TRANSFORMER,
                "context_refiner.0.attention.norm_q.weight",
                Tensor::ones_like,
            );
        }),
        Mutation::new("refiners of text and image swapped", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                let part = "attention.to_v.weight";
                let [text, image] =
                    ["context_refiner", "noise_refiner"].map(|name| format!("{name}.1.{part}"));
                let (a, b) = (all[&text].copy(), all[&image].copy());
                all.insert(text, b);
                all.insert(image, a);
            });
        }),
        Mutation::new("channels of a token ordered by channel", |s| {
            s.change_tensor(TRANSFORMER, "all_x_embedder.2-1.weight", |w| {
                let (out, all) = w.size2().unwrap();
                w.view([out, 4, all / 4])
                    .transpose(1, 2)
                    .reshape([out, all])
            });
        }),
        Mutation::new("sines of the time before its cosines", |s| {
            s.change_tensor(TRANSFORMER, "t_embedder.mlp.0.weight", |w| {
                let halves = w.chunk(2, 1);
                Tensor::cat(&[&halves[1], &halves[0]], 1)
            });
        }),
        Mutation::new("a layer too few", |s| {
            s.change_json("transformer/config.json", |c| c["n_layers"] = 1.into());
        }),
        Mutation::new("a bias is missing", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                all.remove("cap_embedder.1.bias");
            });
        }),
    ];
    assert_all_caught("zimage", "zimage", one_pass, &mutations);
}

#[test]
fn mistakes_in_z_image_s_way_of_drawing_are_caught() {
    let mutations = [
        Mutation::new("another shift", |s| {
            s.change_json("scheduler/scheduler_config.json", |c| {
                c["shift"] = 1.0.into()
            });
        }),
        Mutation::new("scale of the latents", |s| {
            s.change_json("vae/config.json", |c| c["scaling_factor"] = 0.18215.into());
        }),
        Mutation::new("shift of the latents left out", |s| {
            s.change_json("vae/config.json", |c| c["shift_factor"] = 0.0.into());
        }),
        Mutation::new("no room for thoughts", |s| {
            let template = s.checkpoint.join("tokenizer/chat_template.jinja");
            let text = std::fs::read_to_string(&template).unwrap();
            std::fs::write(template, text.replace("is false", "is true")).unwrap();
        }),
        Mutation::new("a layer of the text encoder too few", |s| {
            s.change_json("text_encoder/config.json", |c| {
                c["num_hidden_layers"] = 3.into();
            });
        }),
        Mutation::new("a pipeline of another family", |s| {
            s.change_json("model_index.json", |c| {
                c["_class_name"] = "Flux2KleinPipeline".into()
            });
        }),
    ];
    assert_all_caught("zimage", "zimage", text_to_image, &mutations);
    let from_picture = [Mutation::new("noise before the posterior's", |s| {
        let swap = s.tensor("i2i.noise").unwrap();
        s.change_input("i2i.posterior_noise", |_| swap);
    })];
    assert_all_caught("zimage", "zimage", image_to_image, &from_picture);
}
