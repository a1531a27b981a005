//! What lies beside a vision language model's weights: its shape, and how it wants its pictures.

use atelier_models::critic::qwen3_vl::{Preprocess, Qwen3VlConfig};

use crate::target::{checkout, target};

fn file(name: &str) -> Vec<u8> {
    let path = format!("services/models/tests/fixtures/parity/tiny/qwen3vl/{name}");
    std::fs::read(checkout(&path)).expect("the checkout is whole")
}

target!(
    qwen3_vl_config,
    vec![file("config.json")],
    |bytes: &[u8]| {
        let config = Qwen3VlConfig::parse(bytes).ok()?;
        // What is taken can be divided, and multiplied without overflow.
        let vision = &config.vision;
        assert!(vision.hidden % vision.heads == 0 && vision.table > 0 && vision.merge > 0);
        assert!(config.mrope.sections.iter().sum::<i64>() == config.text.head / 2);
        Some(())
    }
);
target!(
    qwen3_vl_preprocessor,
    vec![file("preprocessor_config.json")],
    |bytes: &[u8]| {
        let config = Qwen3VlConfig::parse(&file("config.json")).ok()?;
        let preprocess = Preprocess::parse(bytes, &config.vision).ok()?;
        for (width, height) in [(1, 1), (128, 128), (4_096, 3), (8_192, 8_192)] {
            if let Ok((width, height)) = preprocess.size(width, height) {
                assert!(width > 0 && height > 0);
            }
        }
        Some(())
    }
);
