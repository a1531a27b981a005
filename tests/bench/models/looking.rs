//! Qwen3-VL of random weights that looks at a picture and answers questions. Its tokenizer is that of the small checkpoint which the tests have.

use anyhow::{Result, ensure};
use atelier_models::{critic::qwen3_vl::Qwen3Vl, weights::Weights};
use image::RgbImage;
use serde_json::{Value as Json, json};

use crate::ours::{Call, Effort};

const TOKENIZER: &str =
    include_str!("../../../services/models/tests/fixtures/parity/tiny/qwen3vl/tokenizer.json");
const TEMPLATE: &str =
    include_str!("../../../services/models/tests/fixtures/parity/tiny/qwen3vl/chat_template.jinja");
static QUESTIONS: [&str; 8] = [
    "Is there a cat?",
    "Is there a red ball?",
    "Is the cat grey?",
    "Is it night?",
    "Is the cat left of the ball?",
    "Are there two cats?",
    "Is the ball at the top?",
    "Is it on a beach?",
];

/// What is done with it.
pub struct Looking {
    pub call: Call,
    pub effort: Effort,
    /// Tokens up to the questions, those of each question, and the token that stands for the picture.
    pub told: Json,
}

/// A network of `config` that is asked `questions` about a picture of `side` pixels.
pub fn call(config: &[u8], side: i64, questions: usize, weights: &Weights) -> Result<Looking> {
    ensure!(questions <= QUESTIONS.len(), "{questions} questions");
    let dir = tempfile::tempdir()?;
    let preprocess = json!({"size": {"shortest_edge": side * side, "longest_edge": side * side}});
    std::fs::write(dir.path().join("config.json"), config)?;
    std::fs::write(
        dir.path().join("preprocessor_config.json"),
        preprocess.to_string(),
    )?;
    std::fs::write(dir.path().join("tokenizer.json"), TOKENIZER)?;
    std::fs::write(dir.path().join("chat_template.jinja"), TEMPLATE)?;
    let model = Qwen3Vl::with_weights(dir.path(), weights)?;

    let vision = &model.config().vision;
    let patches = (side / vision.patch).pow(2);
    let seen = patches / vision.merge.pow(2);
    let asked = &QUESTIONS[..questions];
    let mut after = Vec::new();
    for question in asked {
        after.push(model.tokens(seen as usize, question)?.1);
    }
    let before = model.prompt().before(seen as usize);
    let longest = after.iter().map(Vec::len).max().unwrap_or(0);
    let effort = effort(
        weights,
        patches as f64,
        [before.len(), questions * longest].map(|tokens| tokens as f64),
        questions as f64,
    )?;
    let told = json!({"before": before, "after": after});
    let pixel = |x: u32, y: u32| image::Rgb([x, y, x * y].map(|value| (value % 256) as u8));
    let picture = RgbImage::from_fn(side as u32, side as u32, pixel);
    let call = move || -> Result<tch::Tensor> {
        let look = model.look(&picture)?;
        let beliefs = model.ask(&look, asked)?;
        let yes: Vec<f32> = beliefs.iter().map(|belief| belief.yes).collect();
        Ok(tch::Tensor::from_slice(&yes))
    };
    Ok(Looking {
        call: Box::new(call),
        effort,
        told,
    })
}

/// `tokens`: of the picture's pass and of the questions'.
fn effort(weights: &Weights, patches: f64, tokens: [f64; 2], questions: f64) -> Result<Effort> {
    let mut effort = Effort::default();
    for (name, tensor) in weights.tensors()? {
        let size = tensor.numel() as f64;
        let (rows, passes) = if name.contains("visual.") && name.contains("merger") {
            (patches / 4.0, 1.0)
        } else if name.contains("pos_embed") {
            (0.0, 0.0)
        } else if name.contains("visual.") {
            (patches, 1.0)
        } else if name.contains("embed_tokens") {
            (questions, 1.0)
        } else {
            (tokens[0] + tokens[1], 2.0)
        };
        effort.flops += 2.0 * size * rows;
        effort.bytes += size * tensor.kind().elt_size_in_bytes() as f64 * passes;
    }
    Ok(effort)
}
