//! Recipe of the renderer: the klein transformer on the autoencoder's latents of composed scenes, with region masks and references.

mod batch;
mod export;
mod network;
mod phrases;
mod samples;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use atelier_models::renderer::{TransformerInput, klein::Transformer};
use tch::{Device, Kind, Tensor};

use crate::{
    autoencoder::export as autoencoder,
    composer::Library,
    run::{Master, Optimizer, Options, Rates, Session, ahead},
};
use batch::{Batch, Maker, Packed};
use phrases::Phrases;
use samples::Samples;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// Folder of the sprites and their names, as deploy/setup leaves it.
    #[arg(long, default_value = ".deps/sprites")]
    sprites: PathBuf,
    /// Folder of the autoencoder, as its recipe exports it.
    #[arg(long, value_name = "DIR")]
    autoencoder: PathBuf,
    /// The language model whose states are the text.
    #[arg(
        long,
        default_value = ".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    )]
    language: PathBuf,
    /// Start from the transformer in this folder, as this recipe exports it, instead of a fresh one.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Only compute the text states of all phrases and keep them in the run's folder.
    #[arg(long)]
    phrases_only: bool,
    /// Pictures a step.
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Minutes between two sheets of samples.
    #[arg(long, default_value_t = 10.0)]
    samples_every: f64,
    /// Write the shipped renderer to this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

/// Highest rates of the two optimizers.
const RATES: Rates = Rates {
    adam: 2e-3,
    muon: 0.02,
};

/// Steps until the full rate.
const WARM_UP: f64 = 50.0;

/// Part of the run in which the rates fall to nothing.
const DECAY: f64 = 0.35;

/// Weight of the loss inside boxes against outside.
const INSIDE: f32 = 2.5;

/// Where most training times are: the logistic function of a normal number about this. The larger the picture, the more noise it takes to hide
/// what is behind the things.
const TIME_SHIFT: f64 = 1.0;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (mut session, state) = Session::open(&args.options)?;
    let library = Arc::new(Library::open(&args.sprites)?);
    let phrases = Phrases::open(
        &session.file("phrases.safetensors"),
        &args.language,
        &library,
        &session,
    )?;
    if args.phrases_only {
        return Ok(());
    }
    let config = network::config();
    let mut master = match &args.start {
        Some(dir) => network::trained(dir)?,
        None => network::fresh(&config)?,
    };
    let mut optimizer = Optimizer::new(&master, network::rule);
    if let Some(state) = state {
        master.restore(&state)?;
        optimizer.restore(&state)?;
    }
    session.say(&format!("{} parameters", master.count()));
    let samples = Samples::new(&args.autoencoder, &library, &phrases)?;
    let mut maker = Maker::new(
        autoencoder::read(&args.autoencoder, Kind::BFloat16)?,
        Arc::clone(&library),
        phrases.known(),
    );
    let (seed, size) = (args.options.seed, args.batch);
    let batches = ahead(session.step(), move |step| maker.of_step(seed, step, size));
    let mut sampled = session.elapsed().as_secs_f64();
    while !session.is_over() {
        tch::manual_seed(session.step_seed() as i64);
        let batch = batches.recv().context("the composer ended")?;
        let way = session.progress();
        let rate = ((optimizer.steps() + 1) as f64 / WARM_UP)
            .min(1.0)
            .min((1.0 - way) / DECAY)
            .max(1e-3);
        let net = Transformer::load(&config, &master.weights(Kind::BFloat16))?;
        let loss = loss(&net, &batch, &Packed::of(&batch.samples, &phrases)?);
        loss.backward();
        let rates = Rates {
            adam: RATES.adam * rate,
            muon: RATES.muon * rate,
        };
        optimizer.step(&master, rates, 1.0);
        let age = optimizer.steps() as f64;
        master.follow(((age + 1.0) / (age + 20.0)).min(0.998));
        session.stepped(loss.double_value(&[]), batch.samples.len() as u64);
        if session.save_is_due() {
            save(&mut session, &master, &optimizer)?;
        }
        let now = session.elapsed().as_secs_f64();
        if now - sampled > args.samples_every * 60.0 {
            sampled = now;
            let net = network::of(&config, master.average(Kind::Float))?;
            samples.draw(&net, &phrases, &session)?;
        }
    }
    save(&mut session, &master, &optimizer)?;
    if session.interrupted() {
        session.say("interrupted; start again with the same folder to go on");
        return Ok(());
    }
    samples.draw(
        &network::of(&config, master.average(Kind::Float))?,
        &phrases,
        &session,
    )?;
    if let Some(dir) = &args.export {
        export::write(&config, &master, &phrases, &args.autoencoder, dir)?;
        session.say(&format!("exported to {}", dir.display()));
    }
    Ok(())
}

/// Mean squared error of the velocity, larger inside boxes.
fn loss(net: &Transformer, batch: &Batch, packed: &Packed) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    let number = batch.samples.len() as i64;
    let times = (Tensor::randn([number], options) + TIME_SHIFT).sigmoid();
    let noise = batch.latents.randn_like();
    let at = times.view([-1, 1, 1]);
    let noisy = &batch.latents * (1.0 - &at) + &noise * at;
    let velocity = net.forward(&TransformerInput {
        noisy: &noisy,
        reference: packed.reference.as_ref(),
        text: &packed.text,
        times: &times,
        image_ids: &packed.arrangement.image_ids,
        text_ids: &packed.arrangement.text_ids,
        bias: packed.arrangement.bias.as_ref(),
        layers: None,
    });
    let errors = (velocity.to_kind(Kind::Float) - (noise - &batch.latents))
        .square()
        .mean_dim([2i64].as_slice(), false, Kind::Float);
    (errors * batch::weights(&batch.samples, INSIDE)).mean(Kind::Float)
}

fn save(session: &mut Session, master: &Master, optimizer: &Optimizer) -> anyhow::Result<()> {
    let mut state = master.state();
    state.extend(optimizer.state());
    session.save(state)
}

#[cfg(test)]
mod tests;
