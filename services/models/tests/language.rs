//! Language models against what transformers, PEFT and a plain BPE compute: a small random Qwen3, and SmolLM2 as it is fetched.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use atelier_models::{
    language::{
        Adapter, Cache, Decoder, DecoderConfig, LanguageError, LanguageModel, Message, TextStates,
        Tokenizer,
    },
    props::{PropLibrary, StandIns},
    weights::{Weights, gguf::Gguf},
};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/language")
        .join(name)
}

fn smollm2() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// A part of the model that is shipped.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/models/atelier-mini")
        .join(name)
}

/// What another implementation computed for the fetched model.
#[derive(Deserialize)]
struct Recorded {
    tokens: Vec<(String, Vec<u32>)>,
    plain: Vec<(String, Vec<u32>)>,
    phrases: Vec<String>,
    chat: Chat,
}

#[derive(Deserialize)]
struct Chat {
    prompt: String,
    tokens: Vec<u32>,
    continuation: Vec<u32>,
}

fn recorded() -> Recorded {
    serde_json::from_slice(
        &std::fs::read(fixture("smollm2.json")).expect("a fixture that is carried along"),
    )
    .expect("a fixture that is carried along")
}

fn numbers(weights: &Weights, name: &str) -> Vec<u32> {
    let tensor = weights
        .get(name)
        .expect("a fixture that is carried along")
        .view([-1])
        .to_kind(Kind::Int64);
    Vec::<i64>::try_from(tensor)
        .expect("a fixture that is carried along")
        .into_iter()
        .map(|id| id as u32)
        .collect()
}

/// Largest difference, relative to the largest number.
fn difference(found: &Tensor, wanted: &Tensor) -> f64 {
    assert_eq!(found.size(), wanted.size());
    (found - wanted).abs().max().double_value(&[]) / wanted.abs().max().double_value(&[])
}

fn best(logits: &Tensor) -> u32 {
    logits.argmax(-1, false).int64_value(&[]) as u32
}

fn greedy(decoder: &Decoder, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut cache = Cache::default();
    let mut found = vec![best(
        &decoder
            .next_logits(prompt, &mut cache)
            .expect("a fixture that is carried along"),
    )];
    while found.len() < count {
        let last = *found.last().expect("a fixture that is carried along");
        found.push(best(
            &decoder
                .next_logits(&[last], &mut cache)
                .expect("a fixture that is carried along"),
        ));
    }
    found
}

fn qwen3(adapter: Option<&Adapter>) -> Decoder {
    let config = DecoderConfig::from_json(&fixture("qwen3/config.json"))
        .expect("a fixture that is carried along");
    assert!(config.qk_norm && config.tied && config.head * config.heads != config.hidden);
    Decoder::load(
        config,
        &Weights::load_dir(&fixture("qwen3")).expect("a fixture that is carried along"),
        adapter,
    )
    .expect("a fixture that is carried along")
}

#[test]
fn qwen3_computes_what_transformers_computes() {
    let reference = Weights::load_file(&fixture("reference.safetensors")).unwrap();
    let decoder = qwen3(None);
    let ids = numbers(&reference, "ids");
    let tokens = reference.get("ids").unwrap().to_kind(Kind::Int64);
    for (count, states) in decoder.taps(&tokens, &[0, 1, 2, 3]).iter().enumerate() {
        let wanted = reference.get(&format!("hidden.{count}")).unwrap();
        assert!(
            difference(&states.get(0), &wanted) < 1e-5,
            "after {count} layers"
        );
    }
    let logits = decoder.logits(&decoder.states(&tokens));
    let wanted = reference.get("logits").unwrap();
    assert!(difference(&logits.get(0), &wanted) < 1e-5);
    assert_eq!(greedy(&decoder, &ids, 24), numbers(&reference, "greedy"));
}

#[test]
fn a_cache_changes_nothing_however_the_tokens_come() {
    let reference = Weights::load_file(&fixture("reference.safetensors")).unwrap();
    let ids = numbers(&reference, "ids");
    let wanted = reference.get("logits").unwrap();
    let decoder = qwen3(None);
    let mut cache = Cache::default();
    let mut last = Vec::new();
    for part in [&ids[..7], &ids[7..8], &ids[8..9], &ids[9..]] {
        let states = decoder.forward(part, &mut cache).unwrap();
        last.push(decoder.logits(&states));
    }
    assert!(difference(&Tensor::cat(&last, 0), &wanted) < 1e-5);
    // Forgotten tokens leave no trace, and a copy goes its own way.
    cache.truncate(10);
    let mut other = cache.copy();
    let _states = decoder.forward(&[1, 2, 3], &mut other).unwrap();
    let again = decoder.next_logits(&ids[10..], &mut cache).unwrap();
    assert_eq!((cache.len(), other.len()), (ids.len(), 13));
    assert!(difference(&again, &wanted.get(-1)) < 1e-5);
    assert!(matches!(
        decoder.forward(&[1; 500], &mut cache),
        Err(LanguageError::TooLong { .. })
    ));
    assert!(matches!(
        decoder.forward(&[448], &mut cache),
        Err(LanguageError::Tokens(_))
    ));
    assert!(matches!(
        decoder.forward(&[], &mut cache),
        Err(LanguageError::Tokens(_))
    ));
    assert_eq!(cache.len(), ids.len());
}

#[test]
fn an_adapter_adds_what_peft_adds_and_learns() {
    let reference = Weights::load_file(&fixture("reference.safetensors")).unwrap();
    let tokens = reference.get("ids").unwrap().to_kind(Kind::Int64);
    let adapter = Adapter::load_dir(&fixture("adapter")).unwrap();
    let decoder = qwen3(Some(&adapter));
    let logits = decoder.logits(&decoder.states(&tokens)).get(0);
    assert!(difference(&logits, &reference.get("adapted.logits").unwrap()) < 1e-5);
    // One that begins as PEFT's do, with B = 0, changes nothing and has gradients.
    let fresh = Weights::fresh(|name, shape| {
        let zero = name.ends_with("lora_B.weight");
        let made = if zero {
            Tensor::zeros(shape, (Kind::Float, Device::Cpu))
        } else {
            Tensor::randn(shape, (Kind::Float, Device::Cpu))
        };
        made.set_requires_grad(true)
    });
    let decoder = qwen3(Some(&Adapter::new(&fresh, 4, 8.0)));
    assert_eq!(fresh.tensors().len(), 3 * 7 * 2);
    let logits = decoder.logits(&decoder.states(&tokens)).get(0);
    assert!(difference(&logits, &reference.get("logits").unwrap()) < 1e-5);
    logits.square().mean(Kind::Float).backward();
    for (name, tensor) in fresh.tensors() {
        let moved = tensor.grad().abs().sum(Kind::Float).double_value(&[]);
        assert_eq!(
            moved > 0.0,
            name.ends_with("lora_B.weight"),
            "{name}: {moved}"
        );
    }
}

#[test]
fn a_folder_is_opened_whole() {
    let model =
        LanguageModel::load(&fixture("qwen3"), Some(&fixture("adapter")), Device::Cpu).unwrap();
    assert_eq!(model.ends, [386]);
    assert!(model.chat.is_none());
    // As the Python package `tokenizers` splits them.
    let cases: [(&str, &[u32]); 3] = [
        (" yes", &[306]),
        ("{\"count\": 12}", &[363, 288, 295, 260, 220, 16, 17, 92]),
        ("<|im_start|>user\n<think>", &[385, 358, 198, 402]),
    ];
    for (text, tokens) in cases {
        assert_eq!(model.tokenizer.encode(text).unwrap(), tokens, "{text}");
    }
    assert_eq!(model.tokenizer.decode(cases[1].1), cases[1].0);
}

#[test]
fn text_becomes_the_recorded_tokens_and_text_again() {
    let tokenizer = Tokenizer::from_gguf(&Gguf::open(&smollm2()).unwrap()).unwrap();
    let recorded = recorded();
    assert!(recorded.tokens.len() >= 20);
    for (text, tokens) in &recorded.tokens {
        assert_eq!(tokenizer.encode(text).unwrap(), *tokens, "{text:?}");
        if !text.contains("<|") {
            assert_eq!(tokenizer.decode(tokens), *text);
        }
    }
    for (text, tokens) in &recorded.plain {
        assert_eq!(tokenizer.encode_plain(text).unwrap(), *tokens, "{text:?}");
        assert_eq!(tokenizer.decode(tokens), *text);
    }
    assert_eq!(tokenizer.vocabulary(), 49152);
    assert_eq!(tokenizer.id("<|im_end|>"), Some(2));
    let bytes = tokenizer.token_bytes();
    assert!(bytes[0].is_empty() && bytes[1].is_empty() && bytes[2].is_empty());
    // Every visible ASCII character is a token of its own.
    assert!((b' '..=b'~').all(|byte| bytes.iter().any(|token| **token == [byte])));
    assert!(tokenizer.encode(&"a".repeat(2 << 20)).is_err());
}

#[test]
fn smollm2_says_what_it_says_elsewhere() {
    let model = LanguageModel::load(&smollm2(), None, Device::Cpu).unwrap();
    let Chat {
        prompt,
        tokens,
        continuation,
    } = recorded().chat;
    let question = Message {
        role: "user",
        content: "Write one sentence about a red apple.".into(),
    };
    let text = model
        .chat
        .as_ref()
        .unwrap()
        .render(&[question], true)
        .unwrap();
    assert_eq!(text, prompt);
    assert_eq!(model.tokenizer.encode(&text).unwrap(), tokens);
    let logits = model
        .decoder
        .next_logits(&tokens, &mut Cache::default())
        .unwrap();
    let wanted = Weights::load_file(&fixture("smollm2.safetensors"))
        .unwrap()
        .get("chat.logits")
        .unwrap();
    let worst = difference(&logits, &wanted);
    println!("largest difference of a logit: {worst:.1e}");
    assert!(
        worst
            < if model.decoder.kind() == Kind::Float {
                1e-4
            } else {
                5e-2
            }
    );
    assert_eq!(
        greedy(&model.decoder, &tokens, continuation.len()),
        continuation
    );
    // Forced in one pass, the same tokens follow from one another.
    let mut cache = Cache::default();
    let _prompt = model.decoder.forward(&tokens, &mut cache).unwrap();
    let states = model.decoder.forward(&continuation, &mut cache).unwrap();
    let next = model.decoder.logits(&states).argmax(-1, false);
    let next: Vec<i64> = Vec::try_from(next).unwrap();
    assert!(
        next.iter()
            .zip(&continuation[1..])
            .all(|(found, wanted)| *found == i64::from(*wanted))
    );
}

#[test]
fn phrases_have_the_recorded_states_alone_and_together() {
    let model = LanguageModel::load(&smollm2(), None, Device::Cpu).unwrap();
    let fresh = || {
        TextStates::new(
            Rc::clone(&model.decoder),
            Rc::clone(&model.tokenizer),
            &[10, 20, 30],
        )
        .unwrap()
    };
    let reference = Weights::load_file(&fixture("smollm2.safetensors")).unwrap();
    let mut phrases = recorded().phrases;
    phrases.push(String::new());
    let together = fresh();
    assert_eq!(together.channels(), 1728);
    let states = together.states(&phrases).unwrap();
    for (index, phrase) in phrases.iter().enumerate() {
        let alone = &fresh().states(std::slice::from_ref(phrase)).unwrap()[0];
        assert_eq!(alone.size(), states[index].size());
        if phrase.is_empty() {
            assert_eq!(alone.size(), [0, 1728]);
            continue;
        }
        let wanted = reference.get(&format!("states.{index}")).unwrap();
        assert!(difference(&states[index], alone) < 1e-4, "{phrase}");
        assert!(
            difference(&states[index], &wanted) < 1e-4,
            "{phrase}: {}",
            difference(&states[index], &wanted)
        );
    }
    assert_eq!(together.states(&phrases).unwrap()[1], states[1]);
    assert!(
        TextStates::new(
            Rc::clone(&model.decoder),
            Rc::clone(&model.tokenizer),
            &[20, 10]
        )
        .is_err()
    );
    assert!(
        TextStates::new(
            Rc::clone(&model.decoder),
            Rc::clone(&model.tokenizer),
            &[31]
        )
        .is_err()
    );
}

/// Nouns that the shipped library's words do not match.
#[derive(Deserialize)]
struct Unknown {
    /// A noun and the things that may be drawn for it.
    pairs: Vec<(String, Vec<String>)>,
    /// Nouns that nothing stands for.
    nothing: Vec<String>,
}

#[test]
fn the_shipped_library_finds_stand_ins_and_seldom_wrong_ones() {
    let Unknown { pairs, nothing } =
        serde_json::from_slice(&std::fs::read(fixture("stand_ins.json")).unwrap()).unwrap();
    let props = PropLibrary::open(&shipped("props")).unwrap();
    let model = LanguageModel::load(&smollm2(), None, Device::Cpu).unwrap();
    let stand_ins = StandIns::new(model.decoder, model.tokenizer, &props).unwrap();
    let (mut right, mut wrong) = (0, 0);
    let all = pairs.iter().map(|(noun, things)| (noun, things.as_slice()));
    for (noun, things) in all.chain(nothing.iter().map(|noun| (noun, &[][..]))) {
        assert!(props.find(noun).is_none(), "{noun} is found by its words");
        let Some((thing, likely)) = stand_ins.find(noun).unwrap() else {
            println!("{noun}: nothing");
            continue;
        };
        let name = &props.props()[thing].name;
        let fits = things.contains(name);
        println!(
            "{noun}: {name} at {likely:.2}{}",
            if fits { "" } else { ", wrong" }
        );
        *(if fits { &mut right } else { &mut wrong }) += 1;
    }
    println!(
        "of {} nouns {right} right, {wrong} wrong; {} more have none",
        pairs.len(),
        nothing.len()
    );
    assert!(
        right * 2 >= pairs.len() && right >= 4 * wrong,
        "{right} right, {wrong} wrong"
    );
    assert_eq!(stand_ins.find(" ").unwrap(), None);
}
