//! The command line: `serve`, which is meant when no command is named, and what administrators do with the database.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

use crate::{
    admin::{key::KeyCommand, tenant::TenantCommand},
    config::Config,
};

/// Accepts requests, hands jobs to workers, collects what they report. Several may run side by side.
#[derive(Debug, Parser)]
#[command(
    name = "atelier-coordinator",
    version,
    after_help = "Without a command it serves: 'atelier-coordinator serve --help' shows the options."
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What a coordinator's program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a coordinator until a signal ends it
    Serve(Box<Config>),
    /// Bring the schema of the database up to date
    Migrate(DatabaseArgs),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// List tenants and change their shares and limits
    #[command(subcommand)]
    Tenant(TenantCommand),
}

impl Command {
    /// Threads that it needs, beside those that wait for files.
    pub fn threads(&self) -> usize {
        match self {
            Self::Serve(config) => config.threads.map_or_else(half_of_the_cores, usize::from),
            Self::Migrate(_) | Self::Key(_) | Self::Tenant(_) => 1,
        }
    }
}

/// Threads that wake each other up cost more than they help while one is enough; the other half is for NATS, PostgreSQL and the workers.
fn half_of_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Which database is meant.
#[derive(Clone, Debug, Args)]
pub struct DatabaseArgs {
    /// PostgreSQL, as postgres://user:password@host/database
    #[arg(long, env = "ATELIER_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

impl CommandLine {
    /// Reads `arguments`, the program's name first.
    pub fn read(arguments: Vec<OsString>) -> Self {
        Self::parse_from(with_command(arguments))
    }
}

/// The same arguments with `serve` in its place when they begin with one of its options.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let own = ["-h", "--help", "-V", "--version"];
    let serves = arguments.get(1).is_none_or(|first| {
        let first = first.to_string_lossy();
        first.starts_with('-') && !own.contains(&first.as_ref())
    });
    if serves && !arguments.is_empty() {
        arguments.insert(1, "serve".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(arguments: &[&str]) -> Vec<String> {
        let all = ["program"].into_iter().chain(arguments.iter().copied());
        with_command(all.map(OsString::from).collect())
            .into_iter()
            .skip(1)
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn serves_unless_a_command_is_named() {
        CommandLine::command().debug_assert();
        assert_eq!(read(&[]), ["serve"]);
        assert_eq!(read(&["--model", "m"]), ["serve", "--model", "m"]);
        assert_eq!(read(&["serve", "--model", "m"]), ["serve", "--model", "m"]);
        assert_eq!(read(&["key", "list"]), ["key", "list"]);
        assert_eq!(read(&["--help"]), ["--help"]);
        assert_eq!(read(&["-V"]), ["-V"]);
    }
}
