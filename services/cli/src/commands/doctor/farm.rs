//! What a farm says of itself.

use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::job::JobKind;

use super::Finding;
use crate::{
    client::{Client, FarmArgs},
    exit::{self, status},
    show,
};

/// Longer than the time between two signs of life of a worker.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// Looks whether the farm is ready, takes the key and has workers; with the exit status for what was found.
pub async fn look(args: &FarmArgs) -> (Vec<Finding>, u8) {
    let (client, ready) = match args.place().and_then(Client::new) {
        Ok(client) => {
            let ready = client.readiness().await;
            (client, ready)
        }
        Err(error) => {
            let code = status(&error);
            return (vec![Finding::new("farm", Err(format!("{error:#}")))], code);
        }
    };
    let url = &client.place().url;
    let ready = match ready {
        Ok((true, _)) => Ok(format!("ready at {url}")),
        Ok((false, said)) => Err(format!(
            "{url} is not ready: {}; its logs say more",
            show::short(&said, 300)
        )),
        Err(error) => Err(format!("{error:#}")),
    };
    let mut code = if ready.is_ok() { 0 } else { exit::UNREACHABLE };
    let mut findings = vec![Finding::new("farm", ready)];
    if code != 0 {
        return (findings, code);
    }
    let source = match &client.place().key {
        Some(key) => format!("from {}", key.source),
        None => "none, and none is wanted".into(),
    };
    let key = match client.workers().await {
        Err(error) if status(&error) == exit::KEY => Err(format!("{error:#}")),
        _ => Ok(source),
    };
    let fits = key.is_ok();
    findings.push(Finding::new("key", key));
    if !fits {
        return (findings, exit::KEY);
    }
    let workers = roles(&client).await;
    if workers.is_err() {
        code = exit::FAILED;
    }
    findings.push(Finding::new("workers", workers));
    (findings, code)
}

/// Every kind of job needs somebody who does it. Workers of a farm that has just started get a moment to be heard.
async fn roles(client: &Client) -> Result<String, String> {
    let before = Instant::now();
    loop {
        let workers = client
            .workers()
            .await
            .map_err(|error| format!("{error:#}"))?;
        let nobody = |kind: &&JobKind| !workers.iter().any(|worker| worker.roles.contains(kind));
        let missing: Vec<&str> = JobKind::ALL
            .iter()
            .filter(nobody)
            .map(|kind| kind.as_str())
            .collect();
        if missing.is_empty() {
            let devices: Vec<String> = workers.into_iter().map(|worker| worker.device).collect();
            return Ok(format!("{} ({})", devices.len(), devices.join(", ")));
        }
        if before.elapsed() > FIRST_WORD {
            return Err(format!(
                "nobody does {}: start a worker with these roles",
                missing.join(", ")
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
