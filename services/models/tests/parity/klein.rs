//! FLUX.2 klein against diffusers.

use std::collections::HashMap;

use atelier_models::renderer::{
    Area, Canvas, Drawing, Network, Noise, RenderScene, Renderer, TransformerInput,
    klein::Transformer,
    regions::{self, Grid, Layout, Positions, ThingTokens},
    schedule,
};
use image::{GrayImage, RgbImage};
use tch::{Device, Kind, Tensor};

use super::{
    Comparison, Failure, Mutation, Subject, assert_all_caught, assert_parity,
    pictures::{compare_autoencoder, compare_bytes, gray, picture, states, tokens},
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

/// What the dumps of changes are asked for.
const NIGHT: &str = "the same scene at night";

fn scene(states: Tensor) -> RenderScene {
    RenderScene {
        base: states,
        things: Vec::new(),
        negative: None,
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

/// Draws with the tokens after each step compared to the dump's `steps`, then the picture.
fn draw(
    renderer: &Renderer,
    drawing: Drawing<'_>,
    steps: u32,
    seen: &mut Vec<Tensor>,
) -> Result<RgbImage, Failure> {
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
    Ok(drawn.into_iter().next().ok_or("nothing was drawn")??)
}

fn noise(subject: &Subject, name: &str) -> Result<Tensor, Failure> {
    Ok(tokens(&subject.tensor(name)?).squeeze_dim(0))
}

/// Tokens as the dumps of finished latents have them: not standardised, `(1, latent, H / 8, W / 8)`.
fn finished(renderer: &Renderer, tokens: &Tensor, grid: Grid) -> Tensor {
    renderer
        .autoencoder()
        .latents(&regions::from_tokens(tokens, grid))
}

/// A picture from text: every step, then the bytes.
fn text_to_image(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let prompt: String = subject.fact("prompt")?;
    let scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        &prompt,
    )?);
    let drawing = Drawing {
        scene: &scene,
        noise: Noise::Tokens(&noise(subject, "pipe.latents")?),
        canvas: Canvas::Blank(Some((96, 64))),
    };
    comparison.equal("steps", &renderer.config().steps, &4);
    let mut seen = Vec::new();
    let drawn = draw(&renderer, drawing, 4, &mut seen)?;
    for (i, found) in seen.iter().enumerate() {
        let name = format!("pipe.step{i}.latents");
        comparison.near(&name, found, &subject.tensor(&name)?);
    }
    compare_bytes(
        comparison,
        "picture",
        &drawn,
        &subject.tensor("pipe.image_u8")?,
    );
    Ok(())
}

/// A base model: `model_index.json` without distillation is drawn with guidance.
fn guidance(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let mut base = subject.copy();
    base.change_json("model_index.json", |index| {
        index["is_distilled"] = false.into();
    });
    let renderer = load(&base)?;
    let prompt: String = subject.fact("prompt")?;
    let mut scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        &prompt,
    )?);
    scene.negative = Some(states(
        subject,
        &renderer,
        comparison,
        "cfg.negative_embeds",
        "",
    )?);
    let drawing = Drawing {
        scene: &scene,
        noise: Noise::Tokens(&noise(subject, "pipe.latents")?),
        canvas: Canvas::Blank(Some((96, 64))),
    };
    let mut seen = Vec::new();
    draw(&renderer, drawing, 3, &mut seen)?;
    let grid = Grid::of(96, 64);
    comparison.near(
        "latents",
        &finished(&renderer, &seen[2], grid),
        &subject.tensor("cfg.latents_denorm")?,
    );
    Ok(())
}

/// Editing: one picture as the production path reads it, then two of unequal size.
fn edit(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let grid = Grid::of(64, 64);
    let first = picture(&subject.tensor("image0_u8")?);
    let mut scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        NIGHT,
    )?);
    let noise = noise(subject, "latents")?;
    let canvas = Canvas::Edit {
        picture: &first,
        strength: 1.0,
    };
    for (name, others) in [("one", 0), ("two", 1)] {
        if others == 1 {
            let second = picture(&subject.tensor("image1_u8")?);
            scene.things.push(atelier_models::renderer::RenderThing {
                states: scene.base.narrow(0, 0, 0),
                bbox: None,
                reference: Some(image::DynamicImage::from(second).into_rgba8()),
            });
        }
        let drawing = Drawing {
            scene: &scene,
            noise: Noise::Tokens(&noise),
            canvas,
        };
        let mut seen = Vec::new();
        draw(&renderer, drawing, 4, &mut seen)?;
        comparison.near(
            &format!("{name}: latents"),
            &finished(&renderer, &seen[3], grid),
            &subject.tensor(&format!("{name}.latents_denorm"))?,
        );
    }
    Ok(())
}

/// Repainting by a hard and a soft mask, from the first and from a later step.
fn inpaint(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let renderer = load(subject)?;
    let source = picture(&subject.tensor("image_u8")?);
    let soft = gray(&subject.tensor("mask_u8")?);
    // Half of 255 and more is white.
    let hard = GrayImage::from_fn(soft.width(), soft.height(), |x, y| {
        image::Luma([255 * u8::from(soft.get_pixel(x, y).0[0] >= 128)])
    });
    let scene = scene(states(
        subject,
        &renderer,
        comparison,
        "prompt_embeds",
        NIGHT,
    )?);
    let noise = noise(subject, "noise_first")?;
    for (tag, strength, mask) in [
        ("s1.0", 1.0, &hard),
        ("s0.75", 0.75, &hard),
        ("g1.0", 1.0, &soft),
        ("g0.75", 0.75, &soft),
    ] {
        let drawing = Drawing {
            scene: &scene,
            noise: Noise::Tokens(&noise),
            canvas: Canvas::Repaint {
                picture: &source,
                area: Area::Mask(mask),
                strength,
            },
        };
        let mut seen = Vec::new();
        let drawn = draw(&renderer, drawing, 4, &mut seen)?;
        for (i, found) in seen.iter().enumerate() {
            let name = format!("{tag}.step{i}");
            comparison.near(&name, found, &subject.tensor(&name)?);
        }
        let black = mask
            .enumerate_pixels()
            .filter(|(_, _, share)| share.0[0] == 0);
        let untouched = black
            .map(|(x, y, _)| (drawn.get_pixel(x, y), source.get_pixel(x, y)))
            .all(|(new, old)| new == old);
        comparison.equal(&format!("{tag}: what is black stays"), &untouched, &true);
    }
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
fn klein_draws_as_diffusers_does() {
    assert_parity("klein", "klein", text_to_image);
}

#[test]
fn klein_is_guided_as_diffusers_does() {
    assert_parity("klein", "klein", guidance);
}

#[test]
fn klein_edits_as_diffusers_does() {
    assert_parity("klein", "klein_edit", edit);
}

#[test]
fn klein_inpaints_as_diffusers_does() {
    assert_parity("klein", "klein_inpaint", inpaint);
}

#[test]
fn klein_regions_attend_as_diffusers_does() {
    assert_parity("klein", "klein_regional", regional);
}

#[test]
fn klein_schedules_are_those_of_diffusers() {
    assert_parity("klein", "sched", schedules);
}

/// Swaps two of `parts` equal parts of the first dimension.
fn swapped(tensor: &Tensor, parts: i64, a: usize, b: usize) -> Tensor {
    let mut chunks = tensor.chunk(parts, 0);
    chunks.swap(a, b);
    Tensor::cat(&chunks, 0)
}

const TRANSFORMER: &str = "transformer";

#[test]
fn mistakes_in_klein_s_transformer_are_caught() {
    let mutations = [
        Mutation::new("base of the rotation", |s| {
            s.change_json("transformer/config.json", |c| {
                c["rope_theta"] = 10_000.into()
            });
        }),
        Mutation::new("order of the axes", |s| {
            s.change_json("transformer/config.json", |c| {
                let axes = c["axes_dims_rope"].as_array_mut().unwrap();
                axes.swap(1, 2);
            });
        }),
        Mutation::new("epsilon of the norms", |s| {
            s.change_json("transformer/config.json", |c| c["eps"] = 1e-2.into());
        }),
        Mutation::new("text counted from 1", |s| {
            s.change_input("step.txt_ids", |ids| {
                ids + Tensor::from_slice(&[0i64, 0, 0, 1])
            });
        }),
        Mutation::new("text not counted", |s| {
            s.change_input("step.txt_ids", Tensor::zeros_like);
        }),
        Mutation::new("rows and columns swapped", |s| {
            s.change_input("step.img_ids", |ids| {
                ids.index_select(2, &Tensor::from_slice(&[0i64, 2, 1, 3]))
            });
        }),
        Mutation::new("shift and scale swapped in double blocks", |s| {
            s.change_tensor(
                TRANSFORMER,
                "double_stream_modulation_img.linear.weight",
                |w| swapped(w, 6, 0, 1),
            );
        }),
        Mutation::new("the gate of the second branch first", |s| {
            s.change_tensor(
                TRANSFORMER,
                "double_stream_modulation_txt.linear.weight",
                |w| swapped(w, 6, 2, 5),
            );
        }),
        Mutation::new("shift and scale swapped in single blocks", |s| {
            s.change_tensor(TRANSFORMER, "single_stream_modulation.linear.weight", |w| {
                swapped(w, 3, 0, 1)
            });
        }),
        Mutation::new("shift before scale at the end", |s| {
            s.change_tensor(TRANSFORMER, "norm_out.linear.weight", |w| {
                swapped(w, 2, 0, 1)
            });
        }),
        Mutation::new("halves of the gated part swapped", |s| {
            s.change_tensor(
                TRANSFORMER,
                "transformer_blocks.0.ff.linear_in.weight",
                |w| swapped(w, 2, 0, 1),
            );
        }),
        Mutation::new("norms of queries of text and image swapped", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                let text = "transformer_blocks.1.attn.norm_added_q.weight";
                let image = "transformer_blocks.1.attn.norm_q.weight";
                let (a, b) = (all[text].copy(), all[image].copy());
                all.insert(text.into(), b);
                all.insert(image.into(), a);
            });
        }),
        Mutation::new("no norm of keys", |s| {
            s.change_tensor(
                TRANSFORMER,
                "single_transformer_blocks.0.attn.norm_k.weight",
                Tensor::ones_like,
            );
        }),
        Mutation::new("sines of the time before its cosines", |s| {
            s.change_tensor(
                TRANSFORMER,
                "time_guidance_embed.timestep_embedder.linear_1.weight",
                |w| {
                    let halves = w.chunk(2, 1);
                    Tensor::cat(&[&halves[1], &halves[0]], 1)
                },
            );
        }),
        Mutation::new("a time of a thousandth", |s| {
            s.change_input("step.timestep", |t| t / 1000.0);
        }),
        Mutation::new("rotation by halves instead of pairs", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                let name = "transformer_blocks.0.attn.to_q.weight";
                let w = all[name].unflatten(0, [2, 2, -1]).transpose(1, 2);
                all.insert(name.into(), w.reshape(all[name].size()));
            });
        }),
        Mutation::new("a block too few", |s| {
            s.change_json("transformer/config.json", |c| {
                c["num_single_layers"] = 1.into()
            });
        }),
        Mutation::new("a tensor is missing", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                all.remove("x_embedder.weight");
            });
        }),
        Mutation::new("a bias that nobody reads", |s| {
            s.change_tensors(TRANSFORMER, |all| {
                let zeros = Tensor::zeros([16], (Kind::Float, Device::Cpu));
                all.insert("proj_out.bias".into(), zeros);
            });
        }),
    ];
    assert_all_caught("klein", "klein", one_pass, &mutations);
}

#[test]
fn mistakes_in_klein_s_autoencoder_are_caught() {
    let mutations = [
        Mutation::new("epsilon of the statistics", |s| {
            s.change_json("vae/config.json", |c| c["batch_norm_eps"] = 1e-2.into());
        }),
        Mutation::new("channels of a token ordered by place", |s| {
            for name in ["bn.running_mean", "bn.running_var"] {
                s.change_tensor("vae", name, |w| {
                    w.view([4, -1]).transpose(0, 1).reshape([-1])
                });
            }
        }),
        Mutation::new("variance taken for the deviation", |s| {
            s.change_tensor("vae", "bn.running_var", |w| w.square());
        }),
        Mutation::new("groups of the norms", |s| {
            s.change_json("vae/config.json", |c| c["norm_num_groups"] = 8.into());
        }),
        Mutation::new("no convolution before the decoder", |s| {
            s.change_json("vae/config.json", |c| {
                c["use_post_quant_conv"] = false.into()
            });
        }),
        Mutation::new("deviation taken for the mean", |s| {
            for name in ["quant_conv.weight", "quant_conv.bias"] {
                s.change_tensor("vae", name, |w| swapped(w, 2, 0, 1));
            }
        }),
        Mutation::new("padding on the left and above", |s| {
            // A kernel that is moved by one pixel comes as near to the other padding as a kernel can.
            s.change_tensor(
                "vae",
                "encoder.down_blocks.0.downsamplers.0.conv.weight",
                |w| w.roll([1, 1], [2, 3]),
            );
        }),
        Mutation::new("queries and keys of the middle swapped", |s| {
            s.change_tensors("vae", |all| {
                for part in ["weight", "bias"] {
                    let [q, v] = ["to_q", "to_v"]
                        .map(|name| format!("decoder.mid_block.attentions.0.{name}.{part}"));
                    let (a, b) = (all[&q].copy(), all[&v].copy());
                    all.insert(q, b);
                    all.insert(v, a);
                }
            });
        }),
        Mutation::new("a level too wide", |s| {
            s.change_json("vae/config.json", |c| {
                c["block_out_channels"][1] = 24.into()
            });
        }),
        Mutation::new("a tensor that nobody reads", |s| {
            s.change_tensors("vae", |all| {
                let zeros = Tensor::zeros([16], (Kind::Float, Device::Cpu));
                all.insert("decoder.extra".into(), zeros);
            });
        }),
    ];
    assert_all_caught("klein", "klein", autoencoder, &mutations);
}

#[test]
fn mistakes_in_klein_s_way_of_drawing_are_caught() {
    let drawing = [
        Mutation::new("a shift that is the same for every size", |s| {
            s.change_json("scheduler/scheduler_config.json", |c| {
                c["use_dynamic_shifting"] = false.into();
            });
        }),
        Mutation::new("padding of another token", |s| {
            s.change_json("tokenizer/tokenizer_config.json", |c| {
                c["pad_token"] = "<|im_end|>".into();
            });
        }),
        Mutation::new("room for thoughts", |s| {
            let template = s.checkpoint.join("tokenizer/chat_template.jinja");
            let text = std::fs::read_to_string(&template).unwrap();
            std::fs::write(template, text.replace("is false", "is true")).unwrap();
        }),
        Mutation::new("base of the text encoder's rotation", |s| {
            s.change_json("text_encoder/config.json", |c| {
                c["rope_parameters"]["rope_theta"] = 10_000.into();
            });
        }),
        Mutation::new("noise by columns", |s| {
            s.change_input("pipe.latents", |x| x.transpose(2, 3).reshape(x.size()));
        }),
    ];
    assert_all_caught("klein", "klein", text_to_image, &drawing);
    let editing = [
        Mutation::new("pictures in another order", |s| {
            s.change_input("image0_u8", |x| x.flip([0]));
        }),
        Mutation::new("red and blue swapped", |s| {
            s.change_input("image1_u8", |x| x.flip([2]));
        }),
    ];
    assert_all_caught("klein", "klein_edit", edit, &editing);
    let painting = [
        Mutation::new("the mask the other way round", |s| {
            s.change_input("mask_u8", |x| x.bitwise_not());
        }),
        Mutation::new("noise of another seed behind the mask", |s| {
            s.change_input("noise_first", |x| x.flip([1]));
        }),
    ];
    assert_all_caught("klein", "klein_inpaint", inpaint, &painting);
}
