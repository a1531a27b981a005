//! Qwen3-VL: pictures, tower, deepstack, positions, answers.

use atelier_models::critic::qwen3_vl::{Place, Qwen3Vl, Trace, places};
use image::{Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

use super::{Comparison, Failure, Mutation, Subject, assert_all_caught, assert_parity};

const CHECKPOINT: &str = "qwen3vl";
const DUMP: &str = "qwen3vl";

#[test]
fn qwen3_vl_sees_and_answers_as_transformers_does() {
    assert_parity(CHECKPOINT, DUMP, check);
}

/// Older checkpoints have their template in a JSON file, their rotation under another name, and no prefix.
#[test]
fn older_checkpoints_are_read_as_well() {
    let mut older = Subject::carried(CHECKPOINT, DUMP).copy();
    let jinja = older.checkpoint.join("chat_template.jinja");
    let template = std::fs::read_to_string(&jinja).unwrap();
    std::fs::remove_file(jinja).unwrap();
    let json = serde_json::json!({ "chat_template": template }).to_string();
    std::fs::write(older.checkpoint.join("chat_template.json"), json).unwrap();
    older.change_json("config.json", |json| {
        let text = &mut json["text_config"];
        let mut rope = text["rope_parameters"].take();
        text["rope_theta"] = rope["rope_theta"].take();
        text["rope_scaling"] = serde_json::json!({
            "rope_type": "default", "mrope_interleaved": true, "mrope_section": rope["mrope_section"],
        });
        text.as_object_mut().unwrap().remove("rope_parameters");
        text.as_object_mut().unwrap().remove("tie_word_embeddings");
    });
    older.change_tensors(".", |tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| {
                let bare = name.replacen("model.visual.", "visual.", 1);
                (bare.replacen("model.language_model.", "model.", 1), tensor)
            })
            .collect();
    });
    let mut comparison = Comparison::default();
    check(&older, &mut comparison).unwrap();
    comparison.assert_same("an older checkpoint");
}

fn check(subject: &Subject, comparison: &mut Comparison) -> Result<(), Failure> {
    let model = Qwen3Vl::load(&subject.checkpoint, Device::Cpu)?;
    for name in ["sq", "wide", "resized", "large"] {
        if subject.has(&format!("{name}.grid")) {
            check_picture(subject, comparison, &model, name)?;
        }
    }
    Ok(())
}

fn check_picture(
    subject: &Subject,
    comparison: &mut Comparison,
    model: &Qwen3Vl,
    name: &str,
) -> Result<(), Failure> {
    let of = |what: &str| format!("{name}.{what}");
    let picture = picture(subject, name)?;
    let sized = model.preprocess().sized(&picture)?;
    let (patches, grid) = model.preprocess().patches(&sized);
    let wanted = Vec::<i64>::try_from(subject.tensor(&of("grid"))?.view([-1]))?;
    comparison.equal(&of("grid"), &vec![1, grid.rows, grid.columns], &wanted);

    // The dialog and where its tokens stand.
    let text: String = subject.fact(&of("string"))?;
    let question = question(&text).ok_or("a dialog without a question")?;
    comparison.equal(&of("string"), &model.prompt().text(question), &text);
    let (before, after) = model.tokens(grid.tokens(), question)?;
    let all: Vec<u32> = before.iter().chain(&after).copied().collect();
    comparison.equal(&of("input_ids"), &all, &subject.tokens(&of("input_ids"))?);
    let (mut found, next) = places(model.prompt().first_of_picture(), grid, before.len());
    found.extend(Place::run(next, after.len() as i64));
    let flat: Vec<i64> = (0..3)
        .flat_map(|axis| found.iter().map(move |Place(place)| place[axis]))
        .collect();
    let wanted = Vec::<i64>::try_from(subject.tensor(&of("pos"))?.view([-1]))?;
    comparison.equal(&of("pos"), &flat, &wanted);
    let behind = next + after.len() as i64 - all.len() as i64;
    let delta = subject.tensor(&of("rope_delta"))?.int64_value(&[0, 0]);
    comparison.equal(&of("rope_delta"), &behind, &delta);

    // The picture through tower and decoder.
    let mut trace = Trace::default();
    let look = model.look_traced(&picture, Some(&mut trace))?;
    let mut near = |what: String, found: &Tensor| -> Result<(), Failure> {
        if subject.has(&what) {
            comparison.near(&what, found, &subject.tensor(&what)?);
        }
        Ok(())
    };
    near(of("pixel_values"), &patches)?;
    let seen = &trace.vision;
    near(of("vis.patch"), seen.patches.as_ref().ok_or("no patches")?)?;
    for (index, block) in seen.blocks.iter().enumerate() {
        near(of(&format!("vis.block.{index}")), block)?;
    }
    for (index, deep) in seen.deepstack.iter().enumerate() {
        near(of(&format!("vis.deepstack.{index}")), deep)?;
    }
    near(of("vis.merged"), seen.merged.as_ref().ok_or("no tokens")?)?;
    for (index, layer) in trace.layers.iter().enumerate() {
        let what = of(&format!("lm.{index}"));
        if subject.has(&what) {
            // The dump has the question behind the picture, too.
            let both = subject.tensor(&what)?;
            let read = both.narrow(1, 0, before.len() as i64);
            comparison.near(&what, layer, &read);
        }
    }

    // Answers: the logits, then one token more.
    let (mut writing, logits) = model.begin(&look, question)?;
    let last = of("logits_last");
    comparison.near(&last, &logits.unsqueeze(0), &subject.tensor(&last)?);
    let following = subject.tokens(&of("next_id"))?[0];
    let likeliest = logits.argmax(-1, false).int64_value(&[]);
    comparison.equal(&of("next_id"), &likeliest, &i64::from(following));
    let then = model.go_on(&mut writing, following)?.unsqueeze(0);
    let next = of("next_logits");
    comparison.near(&next, &then, &subject.tensor(&next)?);

    // Yes or no.
    let wanted: serde_json::Value = subject.fact(&of("yes_no"))?;
    let ids = |key: &str| serde_json::from_value::<Vec<u32>>(wanted[key].clone());
    comparison.equal("yes_ids", &model.yes_no().yes().to_vec(), &ids("yes_ids")?);
    comparison.equal("no_ids", &model.yes_no().no().to_vec(), &ids("no_ids")?);
    let belief = model.ask(&look, &[question])?[0];
    let number = |key: &str| wanted[key].as_f64().ok_or("a number");
    let scalar = |value: f64| Tensor::from_slice(&[value]);
    let certain = number("p_yes")? + number("p_no")?;
    comparison.near(
        &of("score"),
        &scalar(belief.yes.into()),
        &scalar(number("score")?),
    );
    comparison.near(
        &of("p_yes + p_no"),
        &scalar(belief.certain.into()),
        &scalar(certain),
    );

    // Several questions at once are what each is by itself.
    let answers = of("answers");
    if subject.has(&answers) {
        let questions: Vec<String> = subject.fact("questions")?;
        let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
        let together = model.answers(&look, &questions)?;
        comparison.near(&answers, &together, &subject.tensor(&answers)?);
        let scores: Vec<f64> = subject.fact(&of("scores"))?;
        let beliefs = model.ask(&look, &questions)?;
        let found: Vec<f64> = beliefs.iter().map(|belief| belief.yes.into()).collect();
        comparison.near(
            &of("scores"),
            &Tensor::from_slice(&found),
            &Tensor::from_slice(&scores),
        );
        for (row, question) in (0..).zip(&questions) {
            let alone = model.answers(&look, &[question])?;
            let what = format!("{answers}, question {row} by itself");
            comparison.within(2e-5, &what, &together.narrow(0, row, 1), &alone);
        }
    }
    Ok(())
}

/// What stands between picture and end of the turn.
fn question(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<|vision_end|>")?;
    Some(rest.split_once("<|im_end|>")?.0)
}

/// The picture of a dump: its `(height, width, 3)` bytes, or where it tells only the size what qwen3vl.py draws.
fn picture(subject: &Subject, name: &str) -> Result<RgbImage, Failure> {
    let bytes = format!("{name}.image_u8");
    if !subject.has(&bytes) {
        let [width, height] = subject.fact(&format!("{name}.size"))?;
        return Ok(RgbImage::from_fn(width, height, |x, y| {
            let squares = (x / 7 + y / 5) % 2;
            // The lowest byte of each.
            Rgb([x * 5 + y * y, x * y * 3 + 40, squares * 200 + x % 40].map(|n| n as u8))
        }));
    }
    let tensor = subject.tensor(&bytes)?;
    let size = tensor.size();
    let bytes = Vec::<u8>::try_from(tensor.contiguous().view([-1]))?;
    let picture = RgbImage::from_raw(size[1] as u32, size[0] as u32, bytes);
    Ok(picture.ok_or("bytes that are no picture")?)
}

#[test]
fn every_mistake_is_caught() {
    assert_all_caught(CHECKPOINT, DUMP, check, MUTATIONS);
}

const MUTATIONS: &[Mutation] = &[
    Mutation::new("rotation's base of another model", |subject| {
        config(subject, "/text_config/rope_parameters/rope_theta", 1e4);
    }),
    Mutation::new("pairs of the axes in other shares", |subject| {
        let sections = serde_json::json!([6, 1, 1]);
        config(
            subject,
            "/text_config/rope_parameters/mrope_section",
            sections,
        );
    }),
    Mutation::new("rows and columns swapped", |subject| {
        subject.change_input("sq.pos", |pos| {
            pos.index_select(0, &Tensor::from_slice(&[0_i64, 2, 1]))
        });
    }),
    Mutation::new("norm's epsilon", |subject| {
        config(subject, "/text_config/rms_norm_eps", 1e-2);
    }),
    Mutation::new("deepstack from other blocks", |subject| {
        let taps = serde_json::json!([1, 3]);
        config(subject, "/vision_config/deepstack_visual_indexes", taps);
    }),
    Mutation::new("deepstack left out", |subject| {
        let none = serde_json::json!([]);
        config(subject, "/vision_config/deepstack_visual_indexes", none);
    }),
    Mutation::new("deepstack in another order", |subject| {
        subject.change_tensors(".", |tensors| {
            let name = |index: u8, part: &str| {
                format!("model.visual.deepstack_merger_list.{index}.{part}")
            };
            for part in ["linear_fc2.weight", "linear_fc2.bias"] {
                let (one, two) = (
                    tensors[&name(0, part)].copy(),
                    tensors[&name(1, part)].copy(),
                );
                tensors.insert(name(0, part), two);
                tensors.insert(name(1, part), one);
            }
        });
    }),
    Mutation::new("heads of the tower", |subject| {
        config(subject, "/vision_config/num_heads", 4);
    }),
    Mutation::new("colours the other way round", |subject| {
        tower(subject, "patch_embed.proj.weight", |weight| {
            weight.flip([1])
        });
    }),
    Mutation::new("patches on their side", |subject| {
        tower(subject, "patch_embed.proj.weight", |weight| {
            weight.transpose(3, 4)
        });
    }),
    Mutation::new("a still picture shown once", |subject| {
        tower(subject, "patch_embed.proj.weight", |weight| {
            let changed = weight.copy();
            let _ = changed.narrow(2, 1, 1).zero_();
            changed
        });
    }),
    Mutation::new("table of positions on its side", |subject| {
        tower(subject, "pos_embed.weight", |table| {
            table.view([5, 5, -1]).transpose(0, 1).reshape([25, -1])
        });
    }),
    Mutation::new("table of positions left out", |subject| {
        tower(subject, "pos_embed.weight", Tensor::zeros_like);
    }),
    Mutation::new("queries and keys swapped", |subject| {
        tower(subject, "blocks.1.attn.qkv.weight", |weight| {
            let parts = weight.chunk(3, 0);
            Tensor::cat(&[&parts[1], &parts[0], &parts[2]], 0)
        });
    }),
    Mutation::new("keys and values swapped", |subject| {
        tower(subject, "blocks.1.attn.qkv.weight", |weight| {
            let parts = weight.chunk(3, 0);
            Tensor::cat(&[&parts[0], &parts[2], &parts[1]], 0)
        });
    }),
    Mutation::new("norm of the merger left out", |subject| {
        tower(subject, "merger.norm.weight", Tensor::ones_like);
    }),
    Mutation::new("patches merged in another order", |subject| {
        tower(subject, "merger.linear_fc1.weight", |weight| {
            weight
                .view([128, 2, 2, 32])
                .transpose(1, 2)
                .reshape([128, 128])
        });
    }),
    Mutation::new("norms of queries left out", |subject| {
        let name = "model.language_model.layers.1.self_attn.q_norm.weight";
        subject.change_tensor(".", name, Tensor::ones_like);
    }),
    Mutation::new("an output layer of its own", |subject| {
        config(subject, "/text_config/tie_word_embeddings", false);
        subject.change_json("config.json", |json| {
            json["tie_word_embeddings"] = false.into()
        });
    }),
    Mutation::new("another token for pictures", |subject| {
        subject.change_json("config.json", |json| {
            json["image_token_id"] = json["video_token_id"].clone();
        });
    }),
    Mutation::new("colours centred elsewhere", |subject| {
        subject.change_json("preprocessor_config.json", |json| {
            json["image_mean"] = serde_json::json!([0.5, 0.5, 0.5]);
        });
    }),
    Mutation::new("small pictures not enlarged", |subject| {
        subject.change_json("preprocessor_config.json", |json| {
            json["size"]["shortest_edge"] = 256.into()
        });
    }),
    Mutation::new("large pictures not made smaller", |subject| {
        subject.change_json("preprocessor_config.json", |json| {
            json["size"]["longest_edge"] = 1_000_000.into()
        });
    }),
    Mutation::new("a system turn that nobody asked for", |subject| {
        let path = subject.checkpoint.join("chat_template.jinja");
        let template = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            path,
            format!("<|im_start|>system\nYou help.<|im_end|>\n{template}"),
        )
        .unwrap();
    }),
    Mutation::new("a tensor that nobody reads", |subject| {
        subject.change_tensors(".", |tensors| {
            tensors.insert(
                "model.visual.blocks.9.norm1.weight".into(),
                Tensor::ones([32], (Kind::Float, Device::Cpu)),
            );
        });
    }),
    Mutation::new("a tensor that is not there", |subject| {
        subject.change_tensors(".", |tensors| {
            tensors.remove("model.visual.merger.linear_fc1.bias");
        });
    }),
];

fn config(subject: &mut Subject, at: &str, value: impl Into<serde_json::Value>) {
    subject.change_json("config.json", |json| {
        *json.pointer_mut(at).expect("the configuration has it") = value.into();
    });
}

fn tower(subject: &mut Subject, name: &str, change: impl FnOnce(&Tensor) -> Tensor) {
    subject.change_tensor(".", &format!("model.visual.{name}"), change);
}
