//! Deliberate mistakes, each caught.

use tch::Tensor;

use super::{
    Mutation, assert_all_caught,
    drawing::{image_to_image, text_to_image},
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
