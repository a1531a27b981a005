//! From a dialog to tokens, states, logits and text, alone and in batches.

use atelier_models::language::{Adapter, Cache, LanguageModel, Message, Slots};
use tch::{Device, Kind, Tensor};

use super::{Comparison, Failure, Subject, assert_parity, compare, decoder, open};

#[test]
fn qwen3_is_that_of_transformers() {
    assert_parity("qwen3", "qwen3", check);
}

#[test]
fn qwen2_and_llama_are_those_of_transformers() {
    for name in ["qwen2", "llama"] {
        super::super::assert_carried(name, name, check);
    }
}

#[test]
fn a_gguf_file_is_what_the_folder_is() {
    super::super::assert_carried("qwen3.gguf", "qwen3", check);
    super::super::assert_carried("qwen2.gguf", "qwen2", check);
}

#[test]
fn an_adapter_adds_what_peft_adds() {
    super::super::assert_carried("adapter", "adapter", adapter);
}

pub fn check(subject: &Subject, found: &mut Comparison) -> Result<(), Failure> {
    let model = open(subject)?;
    dialog(subject, &model, found)?;
    let ids = subject.tokens("input_ids")?;
    let tokens = subject.tensor("input_ids")?;
    let layers = model.decoder.config().layers as usize;
    let counts: Vec<usize> = (0..=layers).collect();
    for (count, states) in model
        .decoder
        .taps(&tokens, &counts, None)
        .iter()
        .enumerate()
    {
        let name = format!("hidden.{count:02}");
        found.near(&name, states, &subject.tensor(&name)?);
    }
    let logits = model.decoder.logits(&model.decoder.states(&tokens));
    found.near("logits", &logits, &subject.tensor("logits")?);
    greedy(subject, &model, &ids, found)?;
    batch(subject, &model, found)
}

fn dialog(subject: &Subject, model: &LanguageModel, found: &mut Comparison) -> Result<(), Failure> {
    let turn = |role, content: &str| Message {
        role,
        content: content.to_owned(),
    };
    let turns = [
        turn("system", "Return JSON."),
        turn(
            "user",
            "a photo of three red cats on a wet street in the city at night",
        ),
    ];
    let chat = model.chat.as_ref().ok_or("there is no chat template")?;
    let text = chat.render(&turns, true)?;
    found.equal("string", &text, &subject.fact("string")?);
    let ids = model.tokenizer.encode(&text)?;
    found.equal("input_ids", &ids, &subject.tokens("input_ids")?);
    for (case, tokens) in subject.fact::<Vec<(String, Vec<u32>)>>("tok_cases")? {
        found.equal(
            &format!("tokens of {case:?}"),
            &model.tokenizer.encode(&case)?,
            &tokens,
        );
        if !case.contains("<|") {
            found.equal("text of tokens", &model.tokenizer.decode(&tokens), &case);
        }
    }
    Ok(())
}

/// Token after token behind a cache; the reference keeps the logits of some of them.
fn greedy(
    subject: &Subject,
    model: &LanguageModel,
    prompt: &[u32],
    found: &mut Comparison,
) -> Result<(), Failure> {
    let wanted = subject.tokens("greedy_ids")?;
    let reference = subject.tensor("greedy_logits")?;
    let every = wanted.len() as i64 / reference.size()[1];
    let mut cache = Cache::default();
    let mut logits = model.decoder.next_logits(prompt, &mut cache)?;
    let mut written = Vec::new();
    for step in 0..wanted.len() as i64 {
        let token = logits.argmax(-1, false).int64_value(&[]) as u32;
        written.push(token);
        logits = model.decoder.next_logits(&[token], &mut cache)?;
        if step % every == 0 {
            let name = format!("greedy_logits.{step}");
            found.near(&name, &logits, &reference.get(0).get(step / every));
        }
    }
    found.equal("greedy_ids", &written, &wanted);
    Ok(())
}

/// Texts of unequal length in one pass, against the reference's padded batch.
fn batch(subject: &Subject, model: &LanguageModel, found: &mut Comparison) -> Result<(), Failure> {
    let (ids, mask) = (subject.tensor("batch_ids")?, subject.tensor("batch_mask")?);
    let reference = subject.tensor("batch_logits_last")?;
    let mut slots = Slots::new(&model.decoder);
    let mut texts = Vec::new();
    for row in 0..ids.size()[0] {
        let kept = ids
            .get(row)
            .masked_select(&mask.get(row).to_kind(Kind::Bool));
        let tokens: Vec<u32> = Vec::<i64>::try_from(kept)?
            .into_iter()
            .map(|id| id as u32)
            .collect();
        texts.push((slots.join(&Cache::default()), tokens));
    }
    let together: Vec<(usize, &[u32])> = texts.iter().map(|(s, t)| (*s, t.as_slice())).collect();
    let logits = model.decoder.next_logits_of(&mut slots, &together)?;
    found.near("batch_logits_last", &logits, &reference);
    for (slot, tokens) in &texts {
        found.equal("length", &slots.length(*slot), &tokens.len());
    }
    Ok(())
}

/// Beside the weights, and worked into them.
pub fn adapter(subject: &Subject, found: &mut Comparison) -> Result<(), Failure> {
    let base = Subject::carried("qwen3", "qwen3").checkpoint;
    let (ids, wanted) = (subject.tensor("input_ids")?, subject.tensor("logits")?);
    let logits = |decoder: &atelier_models::language::Decoder| -> Tensor {
        decoder.logits(&decoder.states(&ids))
    };
    let adapter = Adapter::load_dir(&subject.checkpoint)?;
    let beside = decoder(
        &base,
        Some(&adapter.like(&Tensor::zeros([1], (Kind::Float, Device::Cpu)))),
    )?;
    found.near("adapted logits", &logits(&beside), &wanted);
    let merged = LanguageModel::load(&base, Some(&subject.checkpoint), Device::Cpu)?;
    found.near("merged logits", &logits(&merged.decoder), &wanted);
    let apart = logits(&decoder(&base, None)?) - &wanted;
    if apart.abs().max().double_value(&[]) < 100.0 * compare::TOLERANCE {
        return Err("the adapter changes nothing: the fixture shows nothing".into());
    }
    Ok(())
}
