//! What administrators do with the database from the command line. Results go to stdout, everything else to stderr.

pub mod key;
mod migrate;
pub mod tenant;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use serde::Serialize;

use crate::{
    command_line::{Command, DatabaseArgs},
    store::{Store, StoreError, StoreOptions},
};

/// Does what `command` says; returns the exit code.
pub async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Serve(config) => return crate::app::run(*config).await,
        Command::Migrate(database) => migrate::run(&database).await,
        Command::Key(command) => key::run(command).await,
        Command::Tenant(command) => tenant::run(command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn open(database: &DatabaseArgs) -> anyhow::Result<Store> {
    let options = StoreOptions {
        url: database.database_url.clone(),
        connections: 1,
    };
    Store::open(&options).context("--database-url")
}

/// Explains the one failure that people meet first.
fn explained(error: StoreError) -> anyhow::Error {
    if error.is_missing_table() {
        let hint =
            "the database has no schema of this version: run 'atelier-coordinator migrate' first";
        return anyhow::Error::from(error).context(hint);
    }
    error.into()
}

/// Prints one line.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Prints records, as a JSON array or by `line`.
fn list<T: Serialize>(
    records: &[T],
    json: bool,
    line: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    if json {
        return say(&serde_json::to_string_pretty(records)?);
    }
    records.iter().try_for_each(|record| say(&line(record)))
}
