//! The farm that is measured: PostgreSQL as `atelier up` runs it (every commit survives power loss), NATS, one coordinator, workers with the
//! test double, all on 127.0.0.1 and in one temporary folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use atelier_cli::servers::{Durability, Nats, Parts, Postgres, end, free_port, spawn, wait_until};
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};

use crate::usage;

/// How long a process may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may take to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// Database of the farm; exists in every cluster.
const DATABASE: &str = "postgres";

/// Everything that runs. Ends with it.
pub struct Farm {
    /// Where the API is.
    pub server: String,
    /// Key of a tenant.
    pub key: String,
    /// Where NATS is.
    pub nats_url: String,
    processes: Vec<Process>,
    database_url: String,
    // Last, so that the processes are gone before their folder.
    folder: tempfile::TempDir,
}

struct Process {
    name: String,
    child: Child,
    stop: Signal,
}

impl Farm {
    /// Starts it; returns when the coordinator and `workers` workers are ready.
    pub async fn start(workers: usize) -> Result<Self> {
        let parts = Parts::find(Some(&checkout().join(".deps")));
        let folder = tempfile::Builder::new()
            .prefix("atelier-bench-")
            .tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let mut processes = Vec::new();
        let place = path("postgres");
        let postgres = Postgres::prepare(
            &parts.postgres()?,
            &place,
            free_port(None)?,
            Durability::Full,
        )?;
        let child = start(
            "postgres",
            postgres.command(),
            Postgres::STOP,
            folder.path(),
            |pid| postgres.is_ready(pid),
        )?;
        processes.push(Process {
            name: "postgres".into(),
            child,
            stop: Postgres::STOP,
        });
        let nats = Nats::prepare(&parts.nats()?, &path("nats"), free_port(None)?)?;
        let child = start("nats", nats.command(), Nats::STOP, folder.path(), |_| {
            nats.is_ready()
        })?;
        processes.push(Process {
            name: "nats".into(),
            child,
            stop: Nats::STOP,
        });
        let objects = path("objects");
        fs::create_dir(&objects)?;
        let mut farm = Self {
            server: String::new(),
            key: String::new(),
            nats_url: nats.url(),
            processes,
            database_url: postgres.url(DATABASE),
            folder,
        };
        let coordinator = parts.program("atelier-coordinator")?;
        farm.key = new_key(&coordinator, &farm.database_url)?;
        let mut command = Command::new(&coordinator);
        command
            .args(["--listen", "127.0.0.1:0", "--model", "atelier-mini"])
            .env("ATELIER_DATABASE_URL", &farm.database_url);
        farm.server = farm.add("coordinator", command)?;
        for number in 1..=workers {
            let mut command = Command::new(parts.program("atelier-worker")?);
            command
                .args(["--engine", "double"])
                .env("ATELIER_ALLOW_TEST_DOUBLE", "1");
            farm.add(&format!("worker-{number}"), command)?;
        }
        Ok(farm)
    }

    /// Starts one of the farm's own programs; returns what it announced.
    fn add(&mut self, name: &str, mut command: Command) -> Result<String> {
        let announce = self.folder.path().join(format!("{name}.announce"));
        let objects = self.folder.path().join("objects");
        command
            .args(["--nats-url", &self.nats_url])
            .args(["--store-url", &format!("file://{}", objects.display())])
            .arg("--announce")
            .arg(&announce);
        let announced = || fs::read_to_string(&announce).unwrap_or_default();
        let child = start(name, command, Signal::KILL, self.folder.path(), |_| {
            !announced().is_empty()
        })?;
        self.processes.push(Process {
            name: name.to_owned(),
            child,
            stop: Signal::TERM,
        });
        Ok(announced().trim().to_owned())
    }

    /// A connection to the database.
    pub async fn database(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url).await?)
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Seconds of processor time so far, by part: the servers, the coordinator, the workers together, and this program.
    pub fn cpu(&self) -> Vec<(&'static str, f64)> {
        let of = |prefix: &str| {
            let pids: Vec<u32> = self
                .processes
                .iter()
                .filter(|process| process.name.starts_with(prefix))
                .map(|process| process.child.id())
                .collect();
            usage::cpu_seconds(&pids)
        };
        let parts = ["postgres", "nats", "coordinator", "worker"];
        let mut cpu: Vec<_> = parts.iter().map(|&part| (part, of(part))).collect();
        // The servers are children of this program.
        let servers: f64 = cpu.iter().map(|(_, seconds)| seconds).sum();
        cpu.push((
            "driver",
            usage::cpu_seconds(&[std::process::id()]) - servers,
        ));
        cpu
    }

    /// Most memory that the coordinator ever held, MB.
    pub fn coordinator_peak_mb(&self) -> Result<f64> {
        let coordinator = self
            .processes
            .iter()
            .find(|process| process.name == "coordinator");
        usage::peak_mb(coordinator.context("no coordinator")?.child.id())
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        while let Some(mut process) = self.processes.pop() {
            let _ = end(&mut process.child, process.stop, FAREWELL);
        }
    }
}

fn start(
    name: &str,
    mut command: Command,
    farewell: Signal,
    folder: &Path,
    ready: impl Fn(u32) -> bool,
) -> Result<Child> {
    let log = folder.join(format!("{name}.log"));
    let output = fs::File::create(&log)?;
    command.stdout(output.try_clone()?).stderr(output);
    let mut child = spawn(command, farewell)
        .with_context(|| format!("start {name}: is the workspace built?"))?;
    let pid = child.id();
    wait_until(name, &mut child, &log, PATIENCE, || ready(pid))?;
    Ok(child)
}

/// A key of a tenant of its own, on a database that gets its schema first.
fn new_key(coordinator: &Path, database_url: &str) -> Result<String> {
    let run = |arguments: &[&str]| {
        let done = Command::new(coordinator)
            .args(arguments)
            .env("ATELIER_DATABASE_URL", database_url)
            .output()?;
        ensure!(
            done.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(String::from_utf8(done.stdout)?.trim().to_owned())
    };
    run(&["migrate"])?;
    run(&["key", "create", "--tenant", "bench"])
}

fn checkout() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}
