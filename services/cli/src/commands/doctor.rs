//! `atelier doctor`: what is there, what is missing, what to do about it.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::Result;
use atelier_proto::job::JobKind;

use crate::{
    client::{Client, ServerArgs},
    exit,
    farm::DataDir,
    servers::{Identity, Parts, ServerError},
    show,
};

/// Check servers, programs, model, disk and the running farm, and say what to do
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Folder that deploy/setup filled; without it, the one of this checkout.
    #[arg(long, value_name = "DIR", env = "ATELIER_DEPS")]
    deps: Option<PathBuf>,
}

/// Free bytes below which a farm will soon be in trouble.
const LITTLE_DISK: u64 = 2 << 30;
/// Longer than the time between two signs of life of a worker.
const FIRST_WORD: Duration = Duration::from_secs(5);

struct Finding {
    what: &'static str,
    result: Result<String, String>,
}

/// Prints one line a finding. Exit status 1 if one is bad, 3 if only the farm does not run.
pub async fn run(args: Args) -> Result<ExitCode> {
    let parts = Parts::find(args.deps.as_deref());
    let data = DataDir::at(&args.server.data.data)?;
    let mut findings = vec![Finding {
        what: "atelier",
        result: Ok(env!("CARGO_PKG_VERSION").into()),
    }];
    let local = args.server.server.is_none();
    if local {
        findings.extend(installed(&parts));
        findings.push(user(&data, &parts));
        findings.push(disk(data.folder()));
    }
    let broken = findings.iter().any(|finding| finding.result.is_err());
    let farm = farm(&args.server).await;
    let away = farm.iter().any(|finding| finding.result.is_err());
    findings.extend(farm);
    let lines = findings.iter().map(|finding| match &finding.result {
        Ok(found) => format!("ok    {:12} {}\n", finding.what, show::line(found)),
        Err(wrong) => format!("BAD   {:12} {}\n", finding.what, show::line(wrong)),
    });
    show::print(&lines.collect::<String>())?;
    Ok(match (broken, away) {
        (true, _) => ExitCode::from(exit::FAILED),
        (false, true) => ExitCode::from(exit::UNREACHABLE),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn installed(parts: &Parts) -> Vec<Finding> {
    let postgres = parts.postgres().map(|folder| folder.join("bin/postgres"));
    vec![
        version("NATS", parts.nats()),
        version("PostgreSQL", postgres),
        version("coordinator", parts.program("atelier-coordinator")),
        // Fails as well when libtorch is not where the program looks for it.
        version("worker", parts.program("atelier-worker")),
        Finding {
            what: "model",
            result: parts
                .model("atelier-mini")
                .map(shown)
                .map_err(|error| error.to_string()),
        },
        Finding {
            what: "planner",
            result: parts
                .language()
                .map(shown)
                .map_err(|error| error.to_string()),
        },
    ]
}

fn shown(path: PathBuf) -> String {
    path.display().to_string()
}

/// Runs a program with --version.
fn version(what: &'static str, program: Result<PathBuf, ServerError>) -> Finding {
    let ask = |program: PathBuf| {
        let place = program.display().to_string();
        let output = Command::new(&program).arg("--version").output();
        let output = output.map_err(|error| format!("{place} cannot be run: {error}"))?;
        let text = |bytes: &[u8]| show::short(&String::from_utf8_lossy(bytes), 200);
        if output.status.success() {
            Ok(format!("{} ({place})", text(&output.stdout).trim()))
        } else {
            Err(format!(
                "{place} does not run: {}",
                text(&output.stderr).trim()
            ))
        }
    };
    Finding {
        what,
        result: program.map_err(|error| error.to_string()).and_then(ask),
    }
}

/// PostgreSQL does not run as root; whether the user that it runs as then can get to it.
fn user(data: &DataDir, parts: &Parts) -> Finding {
    let result = match Identity::needed() {
        Err(error) => Err(error.to_string()),
        Ok(None) => Ok("not root".into()),
        Ok(Some(identity)) => {
            let install = parts.postgres().unwrap_or_default();
            let folder = data.folder().ancestors().find(|part| part.is_dir());
            let reached =
                identity.walks(folder.unwrap_or(Path::new("/"))) && identity.walks(&install);
            Ok(if reached {
                "root: PostgreSQL runs as nobody".into()
            } else {
                "root, in a folder that is closed to others: PostgreSQL runs as nobody from a place in /var/lib".into()
            })
        }
    };
    Finding {
        what: "user",
        result,
    }
}

fn disk(folder: &Path) -> Finding {
    let existing = folder
        .ancestors()
        .find(|part| part.is_dir())
        .unwrap_or(Path::new("/"));
    let result = match rustix::fs::statvfs(existing) {
        Err(error) => Err(format!("cannot ask about {}: {error}", existing.display())),
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{:.1} GB free for {}", free as f64 / 1e9, folder.display());
            if free < LITTLE_DISK {
                Err(format!("{text}: make room"))
            } else {
                Ok(text)
            }
        }
    };
    Finding {
        what: "disk",
        result,
    }
}

async fn farm(args: &ServerArgs) -> Vec<Finding> {
    let finding = |what, result| Finding { what, result };
    let client = match args.place().and_then(Client::new) {
        Ok(client) => client,
        Err(error) => return vec![finding("farm", Err(format!("{error:#}")))],
    };
    let ready = match client.readiness().await {
        Ok((true, _)) => Ok(format!("ready at {}", client.server())),
        Ok((false, said)) => Err(format!(
            "{} is not ready: {}",
            client.server(),
            show::short(&said, 300)
        )),
        Err(error) => Err(format!("{error:#}")),
    };
    let answers = ready.is_ok();
    let mut findings = vec![finding("farm", ready)];
    if answers {
        findings.push(finding("workers", workers(&client).await));
    }
    findings
}

/// Every kind of job needs somebody who does it. Workers of a farm that has just started get a moment to be heard.
async fn workers(client: &Client) -> Result<String, String> {
    let before = std::time::Instant::now();
    loop {
        let workers = client
            .workers()
            .await
            .map_err(|error| format!("{error:#}"))?;
        let idle = |kind: &&JobKind| !workers.iter().any(|worker| worker.roles.contains(kind));
        let missing: Vec<&str> = JobKind::ALL
            .iter()
            .filter(idle)
            .map(|kind| kind.as_str())
            .collect();
        if missing.is_empty() {
            let devices: Vec<String> = workers.into_iter().map(|worker| worker.device).collect();
            return Ok(format!("{} ({})", devices.len(), devices.join(", ")));
        }
        if before.elapsed() > FIRST_WORD {
            let missing = missing.join(", ");
            return Err(format!(
                "nobody does {missing}: start a worker with these roles"
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
