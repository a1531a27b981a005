//! Checkpoint files, and the small ones beside them. What opens is read to its last tensor.

use std::{fs, io::Write, path::Path};

use atelier_models::{
    language::{Adapter, ChatTemplate, DecoderConfig, Message, Tokenizer},
    weights::{Weights, gguf::Gguf},
};

use crate::target::{checkout, target};

/// Puts bytes into a file of their own; files are mapped, so that they have to be some.
fn stored(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("there is a temporary folder");
    file.write_all(bytes).expect("it takes a small file");
    file
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn numbers<const N: usize>(out: &mut Vec<u8>, numbers: [u32; N]) {
    numbers
        .iter()
        .for_each(|number| out.extend(number.to_le_bytes()));
}

/// A file with a text, a list, and a tensor of four numbers.
fn small_gguf() -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    numbers(&mut out, [3, 1, 0, 2, 0]);
    text(&mut out, "general.architecture");
    numbers(&mut out, [8]);
    text(&mut out, "llama");
    text(&mut out, "list");
    numbers(&mut out, [9, 5, 2, 0, 7, 8]);
    text(&mut out, "output_norm.weight");
    numbers(&mut out, [1, 4, 0, 0, 0, 0]);
    out.resize(out.len().next_multiple_of(32), 0);
    numbers(&mut out, [0, 0, 0, 0]);
    out
}

target!(gguf, vec![small_gguf()], |bytes: &[u8]| {
    let file = stored(bytes);
    let opened = Gguf::open(file.path()).ok()?;
    // A header may be sound and its tensors none of a known model.
    if let Ok(weights) = opened.weights(tch::Kind::Float) {
        weights.tensors().ok()?;
    }
    let _ = DecoderConfig::from_gguf(&opened);
    let _ = Tokenizer::from_gguf(&opened);
    Some(())
});
target!(
    safetensors,
    vec![
        std::fs::read(checkout(
            "services/models/tests/fixtures/parity/ref/quants.safetensors"
        ))
        .expect("the checkout is whole")
    ],
    |bytes: &[u8]| Weights::load_file(stored(bytes).path())
        .ok()?
        .tensors()
        .ok()
);

/// A file of the small language models that parity is shown with.
fn tiny(file: &str) -> std::path::PathBuf {
    checkout("services/models/tests/fixtures/parity/tiny").join(file)
}

fn sample(file: &str) -> Vec<u8> {
    fs::read(tiny(file)).expect("the checkout is whole")
}

/// A folder of some files as they are and one with these bytes.
fn folder(files: &[&str], name: &str, bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("there is a temporary folder");
    for file in files {
        let file = tiny(file);
        let name = file.file_name().expect("a file has a name");
        std::os::unix::fs::symlink(&file, dir.path().join(name)).expect("links can be made");
    }
    fs::write(dir.path().join(name), bytes).expect("it takes a small file");
    dir
}

target!(
    shards_index,
    vec![sample("qwen3/model.safetensors.index.json")],
    |bytes: &[u8]| {
        let shards = [
            "qwen3/model-00001-of-00002.safetensors",
            "qwen3/model-00002-of-00002.safetensors",
        ];
        let dir = folder(&shards, "model.safetensors.index.json", bytes);
        Weights::load_dir(dir.path()).ok()?.tensors().ok()
    }
);
target!(
    decoder_config,
    ["qwen3", "qwen2", "llama"]
        .map(|name| sample(&format!("{name}/config.json")))
        .to_vec(),
    |bytes: &[u8]| {
        let config = DecoderConfig::parse(serde_json::from_slice(bytes).ok()?).ok()?;
        // What it describes can be asked for without an overflow.
        assert_eq!(config.heads % config.kv_heads, 0);
        assert!(config.heads.checked_mul(config.head).is_some());
        let turns = config.rope.frequencies(config.head.min(256));
        assert!(turns.iter().all(|turn| turn.is_finite() && *turn >= 0.0));
        Some(())
    }
);
target!(
    adapter_config,
    vec![sample("adapter/adapter_config.json")],
    |bytes: &[u8]| {
        let tensors = ["adapter/adapter_model.safetensors"];
        let dir = folder(&tensors, "adapter_config.json", bytes);
        Adapter::load_dir(dir.path()).ok().map(|_| ())
    }
);
target!(
    tokenizer,
    vec![sample("qwen3/tokenizer.json")],
    |bytes: &[u8]| {
        let dir = folder(&[], "tokenizer.json", bytes);
        let path: &Path = &dir.path().join("tokenizer.json");
        let tokenizer = Tokenizer::from_json(path).ok()?;
        let tokens = tokenizer
            .encode("<|im_start|>a caf\u{e9}, 12 cats\n")
            .ok()?;
        let _ = tokenizer.decode(&tokens);
        Some(())
    }
);
target!(
    chat_template,
    ["qwen3", "qwen2", "llama"]
        .map(|name| sample(&format!("{name}/chat_template.jinja")))
        .to_vec(),
    |bytes: &[u8]| {
        let chat = ChatTemplate::new(std::str::from_utf8(bytes).ok()?).ok()?;
        let turn = Message {
            role: "user",
            content: "a cat".into(),
        };
        chat.render(&[turn], true).ok()
    }
);
