//! Recipe of the autoencoder: pictures to tokens and back, on composed scenes and on the pictures of single things.

pub mod batch;
pub mod export;
mod loss;
mod measure;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use atelier_models::{
    renderer::autoencoder::{Autoencoder, AutoencoderConfig},
    weights::Weights,
};
use tch::{Device, Kind, Tensor};

use crate::{
    composer::Library,
    run::{Master, Optimizer, Options, Rates, Rule, Session, ahead},
};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// Folder of the sprites and their names, as deploy/setup leaves it.
    #[arg(long, default_value = ".deps/sprites")]
    sprites: PathBuf,
    /// Channels of the encoder's four levels, finest first; multiples of 4.
    #[arg(long, value_delimiter = ',', default_value = "8,16,48,96")]
    encoder: Vec<i64>,
    /// The same of the decoder.
    #[arg(long, value_delimiter = ',', default_value = "16,24,48,96")]
    decoder: Vec<i64>,
    /// Highest learning rate of AdamW; Muon's is ten times as high.
    #[arg(long, default_value_t = 2e-3)]
    rate: f64,
    /// Start from a shipped autoencoder.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Leave the encoder as it started: what was trained on its tokens stays right.
    #[arg(long, requires = "start")]
    decoder_only: bool,
    /// Area of a step's pictures, in scenes.
    #[arg(long, default_value_t = 2)]
    scenes: u32,
    /// Compute in f32 instead of bf16.
    #[arg(long)]
    exact: bool,
    /// Write the shipped autoencoder to this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

/// Minutes between two measurements.
const MEASURE_EVERY: f64 = 4.0;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (mut session, state) = Session::open(&args.options)?;
    let library = Arc::new(Library::open(&args.sprites)?);
    let (config, mut master) = match &args.start {
        Some(dir) => {
            let (config, weights) = export::tensors(dir)?;
            (config, trained(weights.tensors()?))
        }
        None => {
            let config = config(&args.encoder, &args.decoder)?;
            let master = fresh(&config)?;
            (config, master)
        }
    };
    let mut optimizer = Optimizer::new(&master, rule);
    if let Some(state) = state {
        master.restore(&state)?;
        optimizer.restore(&state)?;
    }
    session.say(&format!("{} parameters", master.count()));
    train(
        &args,
        &library,
        &config,
        &mut session,
        &mut master,
        &mut optimizer,
    )?;
    save(&mut session, &master, &optimizer)?;
    if session.interrupted() {
        session.say("interrupted; start again with the same folder to go on");
        return Ok(());
    }
    let average = with_statistics(&config, &master, &library)?;
    let measured = measure::measure(&network(&config, &average)?, &library);
    session.say(&format!("held-out scenes: {measured}"));
    measured
        .sheet
        .save(session.file("sheet.png"))
        .context("cannot write the sheet")?;
    if let Some(dir) = &args.export {
        export::write(&config, &average, dir)?;
        let shipped = export::read(dir, Kind::Float)?;
        session.say(&format!(
            "exported: {}",
            measure::measure(&shipped, &library)
        ));
    }
    Ok(())
}

/// The small autoencoder's shape.
fn config(encoder: &[i64], decoder: &[i64]) -> anyhow::Result<AutoencoderConfig> {
    let config = AutoencoderConfig {
        class: AutoencoderConfig::CLASS.to_owned(),
        latent_channels: 32,
        block_out_channels: encoder.to_vec(),
        decoder_block_out_channels: Some(decoder.to_vec()),
        layers_per_block: 1,
        norm_num_groups: 4,
        batch_norm_eps: 1e-4,
        patch_size: [2, 2],
        scaling_factor: None,
        shift_factor: None,
        use_quant_conv: true,
        use_post_quant_conv: true,
        mid_block_add_attention: true,
    };
    // Through the same check as everybody's.
    AutoencoderConfig::from_json(&serde_json::to_vec(&config)?).map_err(anyhow::Error::msg)
}

/// Starts every parameter that loading asks for; statistics of tokens are not trained.
fn fresh(config: &AutoencoderConfig) -> anyhow::Result<Master> {
    let latent = config.latent_channels;
    let weights = Weights::fresh(move |name, shape| start(name, shape, latent));
    Autoencoder::load(config, &weights)?;
    Ok(trained(weights.tensors()?))
}

/// All but the statistics of tokens.
fn trained(tensors: Vec<(String, Tensor)>) -> Master {
    let tensors = tensors.into_iter();
    Master::new(tensors.filter(|(name, _)| !name.starts_with("bn.")))
}

/// Convolutions inside are stepped by Muon, the rest by AdamW.
fn rule(name: &str, shape: &[i64]) -> Rule {
    let inside = ["conv1.", "conv2.", "samplers."];
    if shape.len() == 4 && inside.iter().any(|part| name.contains(part)) {
        Rule::Muon
    } else {
        Rule::AdamW
    }
}

fn start(name: &str, shape: &[i64], latent: i64) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    if shape.len() == 1 {
        let norm = name.contains("norm") && name.ends_with("weight");
        let start = Tensor::full(shape, if norm { 1.0 } else { 0.0 }, options);
        if name == "quant_conv.bias" {
            // Little noise on latents from the start: log variance -6.
            let _ = start.narrow(0, latent, latent).fill_(-6.0);
        }
        return start;
    }
    let inputs: i64 = shape[1..].iter().product();
    // Residual branches start small, so that the signal passes.
    let gain = match name {
        _ if name.ends_with("conv2.weight") || name.ends_with("to_out.0.weight") => 0.2,
        _ if name.ends_with("conv1.weight") => 1.4,
        _ => 1.0,
    };
    Tensor::randn(shape, options) * (gain / (inputs as f64).sqrt())
}

fn train(
    args: &Args,
    library: &Arc<Library>,
    config: &AutoencoderConfig,
    session: &mut Session,
    master: &mut Master,
    optimizer: &mut Optimizer,
) -> anyhow::Result<()> {
    let kind = if args.exact {
        Kind::Float
    } else {
        Kind::BFloat16
    };
    let (seed, scenes) = (args.options.seed, args.scenes);
    let things = Arc::clone(library);
    let batches = ahead(session.step(), move |step| {
        batch::of_step(&things, scenes, seed, step)
    });
    let mut measured = session.elapsed().as_secs_f64();
    while !session.is_over() {
        tch::manual_seed(session.step_seed() as i64);
        let way = session.progress();
        let warm = ((optimizer.steps() + 1) as f64 / 100.0).min(1.0);
        let rate = warm * (0.5 + 0.5 * (std::f64::consts::PI * way).cos() + 0.005);
        let pictures = batches.recv().context("the composer ended")?.tensor();
        let rates = Rates {
            adam: args.rate * rate,
            muon: 10.0 * args.rate * rate,
        };
        let loss = descend(
            config,
            master,
            optimizer,
            &pictures,
            kind,
            args.decoder_only,
            rates,
        )?;
        let age = optimizer.steps() as f64;
        master.follow((age / (age + 10.0)).min(0.995));
        session.stepped(loss, pictures.size()[0] as u64);
        if session.save_is_due() {
            save(session, master, optimizer)?;
        }
        let now = session.elapsed().as_secs_f64();
        if now - measured > MEASURE_EVERY * 60.0 {
            measured = now;
            let net = network(config, &with_statistics(config, master, library)?)?;
            let found = measure::measure(&net, library);
            session.say(&format!("step {}: {found}", session.step()));
            found
                .sheet
                .save(session.file("sheet.png"))
                .context("cannot write the sheet")?;
        }
    }
    Ok(())
}

/// One step on `pictures` `(b, 3, h, w)`, computed in `kind`; gives the loss.
fn descend(
    config: &AutoencoderConfig,
    master: &Master,
    optimizer: &mut Optimizer,
    pictures: &Tensor,
    kind: Kind,
    decoder_only: bool,
    rates: Rates,
) -> anyhow::Result<f64> {
    let weights = master.weights(kind).with(no_statistics(config));
    let net = Autoencoder::load(config, &weights)?;
    let moments = || net.moments(&pictures.to_kind(kind));
    let (mean, log_variance) = if decoder_only {
        tch::no_grad(moments)
    } else {
        moments()
    };
    let drawn = net.pictures(&(&mean + (&log_variance * 0.5).exp() * mean.randn_like()));
    let loss = loss::of(pictures, &drawn, &mean, &log_variance);
    loss.backward();
    optimizer.step(master, rates, 1.0);
    Ok(loss.double_value(&[]))
}

/// Statistics that change nothing.
fn no_statistics(config: &AutoencoderConfig) -> [(String, Tensor); 2] {
    let (token, options) = ([config.token_channels()], (Kind::Float, Device::Cpu));
    [
        ("bn.running_mean".to_owned(), Tensor::zeros(token, options)),
        ("bn.running_var".to_owned(), Tensor::ones(token, options)),
    ]
}

fn save(session: &mut Session, master: &Master, optimizer: &Optimizer) -> anyhow::Result<()> {
    let mut state = master.state();
    state.extend(optimizer.state());
    session.save(state)
}

/// The average with the mean and variance of tokens that it gives on composed scenes.
fn with_statistics(
    config: &AutoencoderConfig,
    master: &Master,
    library: &Library,
) -> anyhow::Result<Vec<(String, Tensor)>> {
    let mut tensors = master.average(Kind::Float);
    tensors.extend(no_statistics(config));
    let (mean, variance) = measure::statistics(&network(config, &tensors)?, library);
    tensors.truncate(tensors.len() - 2);
    tensors.push(("bn.running_mean".into(), mean));
    tensors.push(("bn.running_var".into(), variance));
    Ok(tensors)
}

fn network(
    config: &AutoencoderConfig,
    tensors: &[(String, Tensor)],
) -> anyhow::Result<Autoencoder> {
    let named = tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
    Ok(Autoencoder::load(
        config,
        &Weights::from_map(named.collect()),
    )?)
}

#[cfg(test)]
mod tests;
