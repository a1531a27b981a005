//! `atelier-worker try`: one checkpoint, run from the shell without a farm.

mod ask;
mod draw;
mod inspect;
pub mod judge;
mod say;
mod show;

use std::{path::PathBuf, process::ExitCode};

use atelier_platform::telemetry::{LogFormat, logs};
use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
What a checkpoint is and what memory it takes:
  atelier-worker try inspect Qwen3-VL-4B-Instruct
Text, the likeliest token at each place:
  atelier-worker try say SmolLM2-135M-Instruct.Q4_1.gguf --temperature 0 \"Name three colours.\"
A picture:
  atelier-worker try draw deploy/models/atelier-mini --language SmolLM2-135M-Instruct.Q4_1.gguf --out cat.png \"a cat on the moon\"
Answers about a picture, with their probability:
  atelier-worker try ask Qwen3-VL-4B-Instruct cat.png \"Is there a cat?\" \"Is the cat orange?\"
Which of two pictures show what a suite declares:
  atelier-worker try judge deploy/models/atelier-mini < questions.jsonl

MODEL is a folder as Hugging Face libraries write it, a folder of an Atelier model, or (to say) a GGUF file.";

/// Runs one checkpoint from the shell, without a farm
#[derive(Parser)]
#[command(name = "try", bin_name = "atelier-worker try", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log on stderr, for example info
    #[arg(long, global = true, env = "ATELIER_LOG", default_value = "warn")]
    log: String,
}

#[derive(Subcommand)]
enum Command {
    Say(say::Args),
    Draw(draw::Args),
    Ask(ask::Args),
    Inspect(inspect::Args),
    Judge(judge::Args),
}

/// Where to compute.
#[derive(Args, Clone, Debug)]
struct Place {
    /// What to compute on: auto, cpu, cuda:0
    #[arg(long, env = "ATELIER_DEVICE", default_value = "auto")]
    device: String,
    /// Threads on a CPU; all cores unless given
    #[arg(long, env = "ATELIER_THREADS")]
    threads: Option<usize>,
}

impl Place {
    fn threads(&self) {
        if let Some(threads) = self.threads {
            atelier_models::device::set_threads(threads);
        }
    }

    fn open(&self) -> anyhow::Result<tch::Device> {
        self.threads();
        Ok(atelier_models::device::open(&self.device)?)
    }
}

/// The language model that an Atelier model was trained on.
#[derive(Args, Clone, Debug)]
struct Language {
    /// Language model that an Atelier model was trained on (GGUF); deploy/setup puts that of the default model into .deps/models
    #[arg(long, env = "ATELIER_LANGUAGE", value_name = "FILE")]
    language: Option<PathBuf>,
}

/// Runs the command line behind the word `try`.
pub fn run(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let cli = Cli::parse_from(arguments);
    let done = logs::init(LogFormat::Human, &cli.log)
        .map_err(anyhow::Error::from)
        .and_then(|()| match cli.command {
            Command::Say(args) => say::run(&args),
            Command::Draw(args) => draw::run(&args),
            Command::Ask(args) => ask::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Judge(args) => judge::run(&args),
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
