//! Deliberate mistakes, each caught.

use tch::{Device, Kind, Tensor};

use super::{
    Mutation, assert_all_caught, autoencoder,
    drawing::{edit, inpaint, text_to_image},
    one_pass,
};

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
        Mutation::new("queries and values of the middle swapped", |s| {
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
        Mutation::new("a vision model's text encoder", |s| {
            s.change_json("text_encoder/config.json", |c| {
                c["model_type"] = "qwen3_vl_text".into();
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
