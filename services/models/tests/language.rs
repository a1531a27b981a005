//! Language models against what transformers, PEFT and a plain BPE compute: a small random Qwen3, and SmolLM2 as it is fetched.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use atelier_models::{
    language::{
        Adapter, Cache, Decoder, DecoderConfig, LanguageError, LanguageModel, Message, Sampler,
        Sampling, TextStates, Tokenizer, Until, Writer,
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

/// A small random model, as tests/fixtures/parity/language.py makes it.
fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/tiny")
        .join(name)
}

fn qwen3(adapter: Option<&Adapter>) -> Decoder {
    let dir = tiny("qwen3");
    let config = DecoderConfig::from_json(&dir.join("config.json")).unwrap();
    let weights = Weights::load_dir(&dir).unwrap().to_kind(Kind::Float);
    Decoder::load(config, &weights, adapter).unwrap()
}

/// Of so many logits the reference keeps one.
const KEPT: i64 = 16;

const IDS: [u32; 20] = [
    3, 141, 59, 26, 5, 358, 97, 93, 238, 46, 264, 338, 327, 9, 50, 288, 41, 97, 1, 69,
];

fn whole(decoder: &Decoder) -> Tensor {
    let tokens = IDS.map(i64::from);
    let tokens = Tensor::from_slice(&tokens).unsqueeze(0);
    decoder.logits(&decoder.states(&tokens)).get(0)
}

#[test]
fn a_cache_changes_nothing_however_the_tokens_come() {
    let decoder = qwen3(None);
    let wanted = whole(&decoder);
    let mut cache = Cache::default();
    let mut last = Vec::new();
    for part in [&IDS[..7], &IDS[7..8], &IDS[8..9], &IDS[9..]] {
        let states = decoder.forward(part, &mut cache).unwrap();
        last.push(decoder.logits(&states));
    }
    assert!(difference(&Tensor::cat(&last, 0), &wanted) < 1e-5);
    // Forgotten tokens leave no trace, and a copy goes its own way.
    cache.truncate(10);
    let mut other = cache.copy();
    let _states = decoder.forward(&[1, 2, 3], &mut other).unwrap();
    let again = decoder.next_logits(&IDS[10..], &mut cache).unwrap();
    assert_eq!((cache.len(), other.len()), (IDS.len(), 13));
    assert!(difference(&again, &wanted.get(-1)) < 1e-5);
    let unknown = decoder.config().vocabulary as u32;
    assert!(matches!(
        decoder.forward(&[1; 5000], &mut cache),
        Err(LanguageError::TooLong { .. })
    ));
    assert!(matches!(
        decoder.forward(&[unknown], &mut cache),
        Err(LanguageError::Tokens(_))
    ));
    assert!(matches!(
        decoder.forward(&[], &mut cache),
        Err(LanguageError::Tokens(_))
    ));
    assert_eq!(cache.len(), IDS.len());
}

#[test]
fn an_adapter_begins_as_nothing_and_learns() {
    // As PEFT's do, with B = 0.
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
    assert_eq!(fresh.names().len(), 6 * 7 * 2);
    let logits = whole(&decoder);
    assert!(difference(&logits, &whole(&qwen3(None))) < 1e-5);
    logits.square().mean(Kind::Float).backward();
    for (name, tensor) in fresh.tensors().unwrap() {
        let moved = tensor.grad().abs().sum(Kind::Float).double_value(&[]);
        assert_eq!(
            moved > 0.0,
            name.ends_with("lora_B.weight"),
            "{name}: {moved}"
        );
    }
}

/// A copy of a small model with one file changed.
fn changed(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(tiny("qwen2")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::write(
            dir.path().join(path.file_name().unwrap()),
            std::fs::read(&path).unwrap(),
        )
        .unwrap();
    }
    let path = dir.path().join(file);
    let bytes = change(std::fs::read(&path).unwrap());
    std::fs::write(path, bytes).unwrap();
    dir
}

#[test]
fn a_damaged_folder_is_refused_and_what_is_wrong_is_named() {
    let replaced = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from));
            text.replacen(from, to, 1).into_bytes()
        }
    };
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let cases: [(tempfile::TempDir, &str); 8] = [
        (
            changed("model.safetensors", cut),
            "model.safetensors is malformed",
        ),
        (
            changed("model.safetensors", |_| vec![0xff; 64]),
            "model.safetensors is malformed",
        ),
        (changed("config.json", cut), "config.json: EOF"),
        (
            changed(
                "config.json",
                replaced("\"hidden_size\": 48", "\"hidden_size\": 64"),
            ),
            "embed_tokens.weight",
        ),
        (changed("tokenizer.json", cut), "tokenizer.json: EOF"),
        (
            changed("tokenizer.json", replaced("\"id\":364", "\"id\":9999")),
            "tokenizer: ",
        ),
        (
            changed("generation_config.json", |_| {
                b"{\"eos_token_id\": \"x\"}".to_vec()
            }),
            "generation_config.json",
        ),
        (
            changed("chat_template.jinja", |_| b"{% for %}".to_vec()),
            "chat template: ",
        ),
    ];
    for (dir, named) in cases {
        let error = LanguageModel::load(dir.path(), None, Device::Cpu).err();
        let error = error.map_or_else(String::new, |error| error.to_string());
        assert!(error.contains(named), "{named}: {error:?}");
    }
    // What is right loads, whichever way the files beside the weights are written.
    let template = "{\"eos_token\": {\"content\": \"<|im_end|>\"}, \"chat_template\": [{\"name\": \"default\", \"template\": \"a{{ eos_token }}\"}]}";
    let dir = changed("tokenizer_config.json", |_| template.into());
    std::fs::remove_file(dir.path().join("chat_template.jinja")).unwrap();
    std::fs::remove_file(dir.path().join("generation_config.json")).unwrap();
    let model = LanguageModel::load(dir.path(), None, Device::Cpu).unwrap();
    assert_eq!(
        model.chat.unwrap().render(&[], true).unwrap(),
        "a<|im_end|>"
    );
    assert_eq!(model.ends.len(), 1);
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
    let worst = difference(&logits.slice(0, None, None, KEPT), &wanted);
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

/// Prompts with what transformers' own reading of the file says to them, in f32.
#[derive(Deserialize)]
struct Answers {
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    prompt: String,
    text: String,
    tokens: Vec<u32>,
    greedy: Vec<u32>,
}

#[test]
fn smollm2_writes_64_tokens_as_transformers_does_alone_and_together() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/ref/smollm2.json");
    let Answers { answers } = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let model = LanguageModel::load(&smollm2(), None, Device::Cpu).unwrap();
    let decoder = &*model.decoder;
    let mut writer = Writer::new(decoder, model.tokenizer.vocabulary());
    let mut ids = Vec::new();
    for answer in &answers {
        let turn = Message {
            role: "user",
            content: answer.prompt.clone(),
        };
        let text = model.chat.as_ref().unwrap().render(&[turn], true).unwrap();
        assert_eq!(text, answer.text);
        assert_eq!(model.tokenizer.encode(&text).unwrap(), answer.tokens);
        assert_eq!(answer.greedy.len(), 64);
        assert_eq!(
            greedy(decoder, &answer.tokens, 64),
            answer.greedy,
            "{}",
            answer.prompt
        );
        let sampler = Sampler::new(Sampling::GREEDY, 0).unwrap();
        let guide = Until::new(Vec::new(), 64);
        ids.push(writer.join(&answer.tokens, None, sampler, guide).unwrap());
    }
    while !writer.is_empty() {
        for ended in writer.step().unwrap() {
            let index = ids.iter().position(|id| *id == ended.id).unwrap();
            assert_eq!(ended.guide.written(), answers[index].greedy);
        }
    }
    assert_eq!(answers.len(), 3);
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
    for hit in [false, true] {
        for phrase in &phrases {
            let (kept, known) = together.kept(phrase).unwrap();
            let alone = fresh().states(std::slice::from_ref(phrase)).unwrap();
            assert_eq!((kept, known), (alone[0].shallow_clone(), hit), "{phrase}");
        }
    }
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
