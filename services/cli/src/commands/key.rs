//! `atelier key`: who may use the farm.

use std::process::ExitCode;

use anyhow::Result;

use super::database::DatabaseArgs;
use crate::{farm::LOCAL_TENANT, show::OutputArgs};

/// Make, list and revoke the keys of the API
///
/// Works on the farm's database: on the machine of a farm that `atelier up` started, or with ATELIER_DATABASE_URL. A
/// key is shown once, when it is made; the farm keeps only its digest.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a key and print it, the only time that it is seen
    Create {
        /// Who it is for: requests and pictures are seen by their own tenant only
        #[arg(long, value_name = "NAME", default_value = LOCAL_TENANT)]
        tenant: String,
        /// What it is for, in words
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the keys by their ids; a key itself is shown only when it is made
    List {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Refuse a key from now on; running coordinators notice within 30 seconds
    Revoke {
        /// Id of the key, as `atelier key list` shows it
        id: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Hands over to the coordinator's own command.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Create {
            tenant,
            note,
            database,
        } => {
            let mut arguments = vec!["key", "create", "--tenant", tenant];
            if let Some(note) = note {
                arguments.extend(["--note", note]);
            }
            database.run(&arguments)
        }
        Action::List { output, database } if output.is_yaml() => {
            let keys = database.read(&["key", "list", "--json"])?;
            output.print(&serde_json::from_slice::<serde_json::Value>(&keys)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::List { output, database } => match output.is_json() {
            true => database.run(&["key", "list", "--json"]),
            false => database.run(&["key", "list"]),
        },
        Action::Revoke { id, database } => database.run(&["key", "revoke", id]),
    }
}
