//! Checkpoint files, and the small ones beside them. What opens is read to its last tensor.

use std::{fs, io::Write, path::Path};

use atelier_models::{
    Manifest,
    checkpoint::Checkpoint,
    language::{self, Adapter, ChatTemplate, DecoderConfig, Message, Tokenizer},
    props::PropLibrary,
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
target!(
    tokenizer_config,
    vec![
        sample("qwen3/tokenizer_config.json"),
        br#"{"chat_template":[{"name":"default","template":"{{ bos_token }}{{ messages[0].content }}"}],"bos_token":{"content":"<|endoftext|>"},
            "pad_token":"<|endoftext|>"}"#
            .to_vec(),
    ],
    |bytes: &[u8]| {
        let dir = folder(&["qwen3/tokenizer.json"], "tokenizer_config.json", bytes);
        let chat = ChatTemplate::of_dir(dir.path()).ok()?;
        if let Some(chat) = chat {
            let turn = Message {
                role: "user",
                content: "a cat".into(),
            };
            let _ = chat.render(&[turn], true);
        }
        let tokenizer = Tokenizer::from_json(&dir.path().join("tokenizer.json"));
        let tokenizer = tokenizer.expect("the checkout is whole");
        let padding = language::padding(dir.path(), &tokenizer).ok()?;
        assert!((padding as usize) < tokenizer.vocabulary());
        Some(())
    }
);
target!(
    generation_config,
    vec![
        sample("qwen3/generation_config.json"),
        br#"{"eos_token_id":[1,2]}"#.to_vec(),
        b"{}".to_vec(),
    ],
    |bytes: &[u8]| {
        let dir = folder(&[], "generation_config.json", bytes);
        let ends = language::ends(dir.path()).ok()?;
        // They are read anew from what they are written as.
        let written = format!("{{\"eos_token_id\":{ends:?}}}");
        let dir = folder(&[], "generation_config.json", written.as_bytes());
        assert_eq!(language::ends(dir.path()).ok(), Some(ends));
        Some(())
    }
);

/// What is told of a checkpoint adds up.
fn add_up(checkpoint: &Checkpoint) {
    for part in &checkpoint.parts {
        let stored = part.stored.values();
        assert_eq!(stored.sum::<u64>(), part.parameters, "{}", part.name);
        assert!(part.bytes(4) >= part.parameters);
        assert!(checkpoint.parameters() >= part.parameters);
        assert!(checkpoint.bytes(4) >= part.bytes(4));
    }
}

target!(
    // What `try inspect` says of a folder.
    checkpoint_config,
    ["qwen2/config.json", "llama/config.json"]
        .map(sample)
        .to_vec(),
    |bytes: &[u8]| {
        let dir = folder(&["qwen2/model.safetensors"], "config.json", bytes);
        let checkpoint = Checkpoint::open(dir.path()).ok()?;
        add_up(&checkpoint);
        Some(())
    }
);
target!(
    checkpoint_of_safetensors,
    vec![
        fs::read(checkout(
            "services/models/tests/fixtures/parity/ref/quants.safetensors"
        ))
        .expect("the checkout is whole")
    ],
    |bytes: &[u8]| {
        let dir = folder(&[], "a.safetensors", bytes);
        let checkpoint = Checkpoint::open(&dir.path().join("a.safetensors")).ok()?;
        add_up(&checkpoint);
        Some(())
    }
);
target!(checkpoint_of_gguf, vec![small_gguf()], |bytes: &[u8]| {
    let dir = folder(&[], "a.gguf", bytes);
    let checkpoint = Checkpoint::open(&dir.path().join("a.gguf")).ok()?;
    add_up(&checkpoint);
    Some(())
});
target!(
    model_manifest,
    vec![
        fs::read(checkout("deploy/models/atelier-mini/model.json")).expect("the checkout is whole")
    ],
    |bytes: &[u8]| {
        let manifest = Manifest::parse(bytes).ok()?;
        assert!((1..=8).contains(&manifest.text_taps.len()) && !manifest.text_taps.contains(&0));
        let written = serde_json::to_vec(&manifest).expect("what was read can be written");
        assert_eq!(Manifest::parse(&written).ok(), Some(manifest));
        Some(())
    }
);

/// A file of the default model's props.
fn prop(file: &str) -> Vec<u8> {
    let path = checkout("deploy/models/atelier-mini/props").join(file);
    fs::read(path).expect("the checkout is whole")
}

target!(
    props_index,
    vec![
        br#"[{"name":"cat","synonyms":["kitty"],"file":"cat.webp"},{"name":"cup of coffee","file":"c.png","article":false}]"#
            .to_vec(),
        prop("index.json"),
    ],
    |bytes: &[u8]| {
        let dir = checkout("deploy/models/atelier-mini/props");
        let library = PropLibrary::parse(&dir, bytes).ok()?;
        for prop in library.props() {
            let found = library.find(&prop.name).map(|found| &found.name);
            assert_eq!(found, Some(&prop.name), "a thing is found by its name");
            assert!(!prop.file.contains('/') && !prop.file.starts_with('.'));
        }
        let written = serde_json::to_vec(library.props()).expect("what was read can be written");
        let again = PropLibrary::parse(&dir, &written).expect("it is read again");
        assert_eq!(again.props(), library.props());
        Some(())
    }
);
target!(prop_picture, vec![prop("cat.webp")], |bytes: &[u8]| {
    let dir = folder(&[], "cat.webp", bytes);
    let index = br#"[{"name":"cat","file":"cat.webp"}]"#;
    let library = PropLibrary::parse(dir.path(), index).expect("it is a good index");
    let picture = library.picture(&library.props()[0]).ok()?;
    assert!((1..=2_048).contains(&picture.width()) && (1..=2_048).contains(&picture.height()));
    Some(())
});
