//! `tenant`: how the farm is shared.

use anyhow::bail;
use atelier_domain::fair::Weight;
use clap::Subcommand;

use super::{explained, list, open, say};
use crate::{command_line::DatabaseArgs, store::TenantRecord};

/// What is done with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List the tenants: name, weight, active requests and their limit
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Change a tenant's share or limit; what is not named stays
    Set {
        /// Its name
        name: String,
        /// Its share, 1..=1000: weight 3 gets three times as much as weight 1 while both have work waiting
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(Weight::MAX)))]
        weight: Option<u32>,
        /// Most active requests, or `default` for the coordinator's --tenant-queue-limit
        #[arg(long, value_name = "N", value_parser = queue_limit)]
        queue_limit: Option<QueueLimit>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// A limit of its own, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit(Option<u64>);

fn queue_limit(text: &str) -> Result<QueueLimit, String> {
    if text == "default" {
        return Ok(QueueLimit(None));
    }
    let limit = text
        .parse::<u64>()
        .ok()
        .filter(|limit| *limit <= i64::MAX.cast_unsigned());
    limit
        .map(|limit| QueueLimit(Some(limit)))
        .ok_or_else(|| "a number of requests, or 'default'".into())
}

/// Does it.
pub async fn run(command: TenantCommand) -> anyhow::Result<()> {
    match command {
        TenantCommand::List { json, database } => {
            let tenants = open(&database)?.tenants().await.map_err(explained)?;
            list(&tenants, json, line)
        }
        TenantCommand::Set {
            name,
            weight,
            queue_limit,
            database,
        } => {
            let store = open(&database)?;
            let limit = queue_limit.map(|limit| limit.0);
            if !store
                .set_tenant(&name, weight, limit)
                .await
                .map_err(explained)?
            {
                bail!("there is no tenant {name:?}: 'atelier-coordinator tenant list' shows them");
            }
            say(&format!("{name} is changed"))
        }
    }
}

fn line(tenant: &TenantRecord) -> String {
    let TenantRecord {
        name,
        weight,
        active,
        ..
    } = tenant;
    let limit = tenant
        .queue_limit
        .map_or("default".into(), |limit| limit.to_string());
    format!("{name}  weight {weight}  active {active}  limit {limit}")
}

#[cfg(test)]
mod tests {
    use super::{QueueLimit, queue_limit};

    #[test]
    fn a_limit_is_a_number_or_the_default() {
        assert_eq!(queue_limit("5"), Ok(QueueLimit(Some(5))));
        assert_eq!(queue_limit("default"), Ok(QueueLimit(None)));
        for bad in ["", "-1", "many", "18446744073709551615"] {
            assert!(queue_limit(bad).is_err());
        }
    }
}
