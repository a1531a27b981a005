//! Configurations of renderers. What is taken describes networks of sensible size.

use std::fs;

use atelier_models::renderer::{
    ModelIndex, NetworkConfig, RendererConfig, autoencoder::AutoencoderConfig, schedule::Schedule,
};

use crate::target::{checkout, target};

/// A file of both small pipelines that parity is shown with.
fn samples(file: &str) -> Vec<Vec<u8>> {
    let read = |family: &str| {
        let root = checkout("services/models/tests/fixtures/parity/tiny");
        fs::read(root.join(family).join(file)).expect("the checkout is whole")
    };
    ["klein", "zimage"].map(read).to_vec()
}

target!(
    transformer_config,
    samples("transformer/config.json"),
    |bytes: &[u8]| {
        let config = NetworkConfig::from_json(bytes).ok()?;
        assert!((1..=1 << 18).contains(&config.token_channels()));
        assert!((1..=1 << 16).contains(&config.text_channels()));
        match &config {
            NetworkConfig::Klein(config) => {
                assert_eq!(config.axes.iter().sum::<i64>(), config.head_size);
                assert!(config.hidden >= 0);
            }
            NetworkConfig::ZImage(config) => {
                assert_eq!(config.axes.iter().sum::<i64>(), config.head_size());
                assert_eq!(config.head_size() * config.heads, config.width);
            }
        }
        Some(())
    }
);
target!(
    autoencoder_config,
    samples("vae/config.json"),
    |bytes: &[u8]| {
        let config = AutoencoderConfig::from_json(bytes).ok()?;
        assert!((4..=1024).contains(&config.token_channels()));
        let groups = config.norm_num_groups;
        assert!(config.decoder_channels().iter().all(|c| c % groups == 0));
        Some(())
    }
);
target!(
    schedule,
    samples("scheduler/scheduler_config.json"),
    |bytes: &[u8]| {
        let schedule = Schedule::from_json(bytes).ok()?;
        for (steps, tokens) in [(1, 1), (4, 4096), (200, 16384)] {
            let sigmas = schedule.sigmas(steps, tokens);
            assert_eq!(sigmas.len(), steps as usize + 1);
            // The first one is 1 up to rounding.
            assert!(sigmas.iter().all(|sigma| (0.0..=1.0001).contains(sigma)));
            assert!(sigmas.is_sorted_by(|a, b| a >= b));
        }
        Some(())
    }
);
target!(
    model_index,
    samples("model_index.json"),
    |bytes: &[u8]| ModelIndex::from_json(bytes).ok()?.pipeline().ok()
);
target!(
    renderer_config,
    vec![
        fs::read(checkout(
            "deploy/models/atelier-mini/renderer/renderer.json"
        ))
        .expect("the checkout is whole"),
        br#"{"positions":"counted","steps":8,"width":768,"height":512,"guidance":5}"#.to_vec(),
    ],
    |bytes: &[u8]| {
        let config: RendererConfig = serde_json::from_slice(bytes).ok()?;
        let written = serde_json::to_vec(&config).expect("it can be written");
        let again: RendererConfig = serde_json::from_slice(&written).expect("it can be read");
        assert_eq!(config, again);
        Some(())
    }
);
