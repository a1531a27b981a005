//! `key`: who may ask. A key is shown once, when it is made.

use anyhow::{bail, ensure};
use atelier_platform::{Clock, SystemClock, artifacts::digest};
use atelier_proto::TenantId;
use clap::Subcommand;
use uuid::Uuid;

use super::{explained, list, open, say};
use crate::{api_key::new_key, command_line::DatabaseArgs, store::KeyRecord};

/// Longest note, in bytes.
const MAX_NOTE_BYTES: usize = 1_000;

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it: the only time that it is shown
    Create {
        /// Whose requests its holder makes and sees; a tenant that is not there is made
        #[arg(long, value_name = "NAME", value_parser = tenant_name)]
        tenant: String,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the keys: id, tenant, when it was made, whether it is good, note
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Refuse a key from now on; coordinators notice within 30 seconds
    Revoke {
        /// Its id, as `list` shows it
        id: Uuid,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Does it.
pub async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create {
            tenant,
            note,
            database,
        } => create(&tenant, &note, &database).await,
        KeyCommand::List { json, database } => {
            let keys = open(&database)?.keys().await.map_err(explained)?;
            list(&keys, json, line)
        }
        KeyCommand::Revoke { id, database } => {
            if !open(&database)?.revoke_key(id).await.map_err(explained)? {
                bail!("there is no key {id}: 'atelier-coordinator key list' shows them");
            }
            say(&format!(
                "{id} is revoked; coordinators refuse it within 30 seconds"
            ))
        }
    }
}

async fn create(tenant: &str, note: &str, database: &DatabaseArgs) -> anyhow::Result<()> {
    ensure!(
        note.len() <= MAX_NOTE_BYTES && !note.contains('\0'),
        "--note: at most {MAX_NOTE_BYTES} bytes"
    );
    let store = open(database)?;
    let now = SystemClock.unix_millis();
    let key = new_key(rand::random());
    let id = TenantId::at(now, rand::random()).as_uuid();
    let made = TenantId::at(now, rand::random());
    store
        .create_key(id, digest(key.as_bytes()), made, tenant, note)
        .await
        .map_err(explained)?;
    eprintln!("made key {id} of tenant {tenant}; it is not shown again");
    say(&key)
}

/// Accepts what the schema does.
fn tenant_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 letters, digits, '.', '_' and '-'".into())
    }
}

fn line(key: &KeyRecord) -> String {
    let KeyRecord {
        id,
        tenant,
        note,
        created_at,
        ..
    } = key;
    let state = key
        .revoked_at
        .as_ref()
        .map_or("good".into(), |at| format!("revoked {at}"));
    let note: String = note.chars().filter(|c| !c.is_control()).collect();
    format!("{id}  {tenant}  {created_at}  {state}  {note}")
}

#[cfg(test)]
mod tests {
    use super::tenant_name;

    #[test]
    fn names_of_tenants_are_plain() {
        for good in ["local", "a", "team-1_x.y", &"x".repeat(64)] {
            assert!(tenant_name(good).is_ok());
        }
        for bad in ["", "a b", "caf\u{e9}", "a\n", &"x".repeat(65)] {
            assert!(tenant_name(bad).is_err());
        }
    }
}
