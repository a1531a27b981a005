//! `atelier-train`: makes the default model, one command a part, each resumable.

mod autoencoder;
mod composer;
mod detector;
mod judge;
mod planner;
mod renderer;
mod run;
mod suite;

use clap::{Parser, Subcommand};

/// Trains the parts of the default model. Order: autoencoder, renderer; planner and detector at any time.
#[derive(Parser)]
#[command(name = "atelier-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compose scenes and write a sheet of them, or build the prop library.
    Compose(composer::Args),
    /// Train the picture autoencoder.
    Autoencoder(autoencoder::Args),
    /// Train the diffusion transformer on the autoencoder's latents.
    Renderer(renderer::Args),
    /// Train the planner's adapter.
    Planner(planner::Args),
    /// Train the detector.
    Detector(detector::Args),
    /// Draw the pictures that the detector is trained on and measured with.
    Draw(detector::draws::Args),
    /// Let the critique mend such pictures once, and count how many are right before and after.
    Mend(detector::mended::Args),
    /// Train the judge, the detector that `atelier eval` grades with.
    Judge(judge::Args),
    /// Make the suite that `atelier eval` draws.
    Suite(suite::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compose(args) => composer::run(args),
        Command::Autoencoder(args) => autoencoder::run(args),
        Command::Renderer(args) => renderer::run(args),
        Command::Planner(args) => planner::run(args),
        Command::Detector(args) => detector::run(args),
        Command::Draw(args) => detector::draws::run(args),
        Command::Mend(args) => detector::mended::run(args),
        Command::Judge(args) => judge::run(args),
        Command::Suite(args) => suite::run(&args),
    }
}
