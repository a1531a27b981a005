//! The `atelier` command: a farm on this machine (`up`, `down`) and a client of any farm (`submit`, `status`, ...).
//!
//! [`servers`] knows how NATS and PostgreSQL are found, prepared and started; the system tests use it too.

mod client;
mod commands;
mod exit;
pub mod farm;
mod random;
pub mod reading;
pub mod servers;
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Draws pictures from text on your own machines: plans first, draws, checks, draws again.
#[derive(Parser)]
#[command(name = "atelier", version, max_term_width = 100, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
A first picture:
  atelier up --detach
  atelier submit --out cat.png \"an orange cat left of a radio on the moon\"
  atelier trace last

Which farm: --url or ATELIER_URL, else --profile or ATELIER_PROFILE, else the one that runs in --data or ATELIER_DATA (.atelier).
Which key:  --key-file or ATELIER_API_KEY, else the profile's, else the key of that farm.
";

fn after_help() -> String {
    format!("{EXAMPLES}\n{}", exit::HELP)
}

#[derive(Subcommand)]
enum Command {
    Up(commands::up::Args),
    Down(commands::down::Args),
    Submit(commands::submit::Args),
    Batch(commands::batch::Args),
    Plan(commands::plan::Args),
    Eval(commands::eval::Args),
    Status(commands::status::Args),
    List(commands::list::Args),
    Watch(commands::watch::Args),
    Top(commands::top::Args),
    Open(commands::open::Args),
    Trace(commands::trace::Args),
    Download(commands::download::Args),
    Inspect(commands::inspect::Args),
    Cancel(commands::cancel::Args),
    Retry(commands::retry::Args),
    Replay(commands::replay::Args),
    Workers(commands::workers::Args),
    Key(commands::key::Args),
    Migrate(commands::migrate::Args),
    Doctor(commands::doctor::Args),
    Capacity(commands::capacity::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
    Version(commands::version::Args),
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
        Command::Batch(args) => commands::batch::run(args).await,
        Command::Plan(args) => commands::plan::run(args).await,
        Command::Eval(args) => commands::eval::run(args).await,
        Command::Status(args) => commands::status::run(args).await,
        Command::List(args) => commands::list::run(args).await,
        Command::Watch(args) => commands::watch::run(args).await,
        Command::Top(args) => commands::top::run(args).await,
        Command::Open(args) => commands::open::run(args).await,
        Command::Trace(args) => commands::trace::run(args).await,
        Command::Download(args) => commands::download::run(args).await,
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Cancel(args) => commands::cancel::run(args).await,
        Command::Retry(args) => commands::retry::run(args).await,
        Command::Replay(args) => commands::replay::run(args).await,
        Command::Workers(args) => commands::workers::run(args).await,
        Command::Key(args) => commands::key::run(&args),
        Command::Migrate(args) => commands::migrate::run(&args),
        Command::Doctor(args) => commands::doctor::run(args).await,
        Command::Capacity(args) => commands::capacity::run(args).await,
        Command::Completions(args) => commands::completions::run::<Cli>(&args),
        Command::Man(args) => commands::man::run::<Cli>(&args),
        Command::Version(args) => commands::version::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_help_is_written_down() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
        let written: String = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        for command in super::Cli::command().get_subcommands() {
            let mut names = vec![command.get_name().to_owned()];
            for action in command.get_subcommands() {
                names.push(format!("{} {}", command.get_name(), action.get_name()));
            }
            for name in names {
                let call = format!("$ atelier {name} --help\n");
                assert!(
                    written.contains(&call),
                    "{name}: add it to a file in {folder}"
                );
            }
        }
    }
}
