//! Which engine computes. The only file of the worker, apart from `trial`, that names an implementation.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use atelier_engine::{
    Engine,
    double::{DoubleEngine, DoubleOptions},
};

use atelier_models::{Sources, TorchEngine};

use crate::config::{Config, EngineKind};

/// Loads the engine. Called on the device thread, since networks may be bound to it.
pub fn load(config: &Config) -> anyhow::Result<Box<dyn Engine>> {
    let engine: Box<dyn Engine> = match config.engine {
        EngineKind::Torch => load_torch(config)?,
        EngineKind::Double => Box::new(load_double(config)?),
    };
    let has = engine.roles();
    for role in &config.roles {
        ensure!(
            has.contains(role),
            "the model at {} cannot do {} jobs: leave that role out of --roles",
            config.model.display(),
            role.as_str()
        );
    }
    atelier_proto::subject::check_token(engine.model()).context("name of the model")?;
    Ok(engine)
}

fn load_torch(config: &Config) -> anyhow::Result<Box<dyn Engine>> {
    if let Some(threads) = config.threads {
        atelier_models::device::set_threads(threads);
    }
    let sources = Sources {
        model: config.model.clone(),
        language: config.language.clone(),
        critic: config.critic.clone(),
        props: config.props.clone(),
    };
    let engine = TorchEngine::load(&sources, &config.roles, &config.device)?;
    Ok(Box::new(engine))
}

fn load_double(config: &Config) -> anyhow::Result<DoubleEngine> {
    if config.allow_test_double != "1" {
        bail!(
            "--engine double draws coloured boxes and is for tests only; set ATELIER_ALLOW_TEST_DOUBLE=1 if that is what you want"
        );
    }
    tracing::warn!(
        "THE TEST DOUBLE COMPUTES: pictures are coloured boxes, answers are made up. For tests only."
    );
    Ok(DoubleEngine::new(DoubleOptions {
        model: config.double_model.clone(),
        roles: config.roles.clone(),
        step: Duration::from_millis(config.double_step_ms),
    }))
}
