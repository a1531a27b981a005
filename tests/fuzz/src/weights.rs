//! Checkpoint files. What opens is read to its last tensor.

use std::io::Write;

use atelier_models::{
    language::{ChatTemplate, DecoderConfig, Message, Tokenizer},
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
