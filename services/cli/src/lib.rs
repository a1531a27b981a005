//! The `atelier` command: a farm on this machine (`up`, `down`) and a client of any farm (`submit`, `status`, ...).
//!
//! [`servers`] knows how NATS and PostgreSQL are found, prepared and started; the system tests use it too.

mod client;
mod commands;
mod exit;
pub mod farm;
pub mod servers;
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Draws pictures from text on your own machines: plans first, draws, checks, draws again.
#[derive(Parser)]
#[command(name = "atelier", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
A first picture:
  atelier up --detach
  atelier submit --out cat.png \"an orange cat left of a radio on the moon\"
  atelier trace last

Exit status: 0 done, 1 the request or command failed, 2 wrong usage, 3 no farm could be reached, 130 interrupted.";

#[derive(Subcommand)]
enum Command {
    Up(commands::up::Args),
    Down(commands::down::Args),
    Submit(commands::submit::Args),
    Status(commands::status::Args),
    Trace(commands::trace::Args),
    Download(commands::download::Args),
    Cancel(commands::cancel::Args),
    Doctor(commands::doctor::Args),
    Completions(commands::completions::Args),
}

/// Reads the command line, does what it says, and answers with the exit status.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command)),
        Err(error) => Err(error.into()),
    };
    exit::code(result)
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => commands::up::run(args).await,
        Command::Down(args) => commands::down::run(args).await,
        Command::Submit(args) => commands::submit::run(args).await,
        Command::Status(args) => commands::status::run(args).await,
        Command::Trace(args) => commands::trace::run(args).await,
        Command::Download(args) => commands::download::run(args).await,
        Command::Cancel(args) => commands::cancel::run(args).await,
        Command::Doctor(args) => commands::doctor::run(args).await,
        Command::Completions(args) => commands::completions::run::<Cli>(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
