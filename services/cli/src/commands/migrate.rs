//! `atelier migrate`: bring the database to the schema of this version.

use std::process::ExitCode;

use anyhow::Result;

use super::database::DatabaseArgs;

/// Bring the farm's database to the schema of this version
///
/// A coordinator does the same when it starts; this is for those who want it done before.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Hands over to the coordinator's own command.
pub fn run(args: &Args) -> Result<ExitCode> {
    args.database.run(&["migrate"])
}
