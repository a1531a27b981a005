//! `migrate`: brings the schema up to date and ends, for those who do not want a starting coordinator to do it.

use super::{explained, open, say};
use crate::command_line::DatabaseArgs;

/// Applies what is missing.
pub async fn run(database: &DatabaseArgs) -> anyhow::Result<()> {
    open(database)?.migrate().await.map_err(explained)?;
    say("the schema is up to date")
}
