//! What a farm says of itself.

use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::{http::WorkerView, job::JobKind};

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
        let missing = missing(&workers);
        if missing.is_empty() {
            let devices: Vec<String> = workers.into_iter().map(|worker| worker.device).collect();
            return Ok(format!("{} ({})", devices.len(), devices.join(", ")));
        }
        if before.elapsed() > FIRST_WORD {
            return Err(missing.join("; "));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What nobody does, and what to do about it, a sentence a kind. Who is kept from a kind does it no more than who never did.
fn missing(workers: &[WorkerView]) -> Vec<String> {
    let sentence = |kind: &JobKind| {
        let mut able = workers
            .iter()
            .filter(|worker| worker.roles.contains(kind))
            .peekable();
        let name = kind.as_str();
        if able.peek().is_none() {
            return Some(format!(
                "nobody does {name}: start a worker with --roles {name}"
            ));
        }
        able.all(|worker| worker.kept_from.contains(kind))
            .then(|| format!("whoever does {name} keeps failing it: see the logs of the workers"))
    };
    JobKind::ALL.iter().filter_map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(roles: &[JobKind], kept_from: &[JobKind]) -> WorkerView {
        WorkerView {
            name: "w".into(),
            roles: roles.to_vec(),
            model: "m".into(),
            device: "cpu".into(),
            kept_from: kept_from.to_vec(),
            busy: 0,
            seen_ms_ago: 1,
        }
    }

    #[test]
    fn who_is_kept_from_a_kind_does_not_do_it() {
        use JobKind::{Critique, Plan, Render};
        let mut workers = vec![worker(&[Plan, Render], &[Render])];
        let said = missing(&workers);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("does render keeps failing"), "{said:?}");
        assert!(said[1].contains("nobody does critique"), "{said:?}");
        workers.push(worker(&[Render, Critique], &[]));
        assert_eq!(missing(&workers), [""; 0]);
    }
}
