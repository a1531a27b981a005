//! The farm of a run: two coordinators, three workers and servers of its own, with something between each worker and NATS and before the
//! object store that can be disturbed.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use atelier_cli::servers::{Parts, free_port};
use atelier_proto::{WorkerId, subject::Names};
use atelier_tests::{Api, Gate, Program, Seaweed, Wire, checkout};
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex as Turn;

use crate::{
    schedule::{COORDINATORS, LEASE, TENANTS, WORKERS},
    servers::{NatsServer, PostgresServer},
};

/// Model of the test double.
pub const MODEL: &str = "atelier-mini";
/// First token of every NATS name.
const PREFIX: &str = "chaos";
/// Time of a step of the test double, in milliseconds.
const STEP_MS: &str = "15";
/// A lease that nobody lives to see the end of, in milliseconds.
const ENDLESS_MS: u64 = 3_600_000;
/// Callers wait this long before they ask the other coordinator.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that runs. A part that is being struck is locked meanwhile, so that nothing is struck twice at a time and the supervisor leaves
/// it alone.
pub struct Farm {
    /// The coordinators.
    pub coordinators: Vec<Turn<Program>>,
    /// The workers.
    pub workers: Vec<Turn<Program>>,
    /// Clients of every tenant, of each coordinator.
    pub apis: Vec<Vec<Api>>,
    /// From each worker to NATS.
    pub wires: Vec<Wire>,
    /// Before the object store, with the turn of whoever sets its mood.
    pub gate: Turn<Gate>,
    /// The object store.
    pub seaweed: Turn<Seaweed>,
    /// The database server.
    pub postgres: Turn<PostgresServer>,
    /// The NATS server.
    pub nats: Turn<NatsServer>,
    /// Where the object store is, as `--store-url` takes it.
    store_url: String,
    /// Where NATS is.
    pub nats_url: String,
    /// Where the database is.
    pub database_url: String,
    /// Names on NATS.
    pub names: Names,
    /// Everything that the run writes.
    pub folder: PathBuf,
    struck: Mutex<HashSet<WorkerId>>,
    died: Mutex<HashSet<WorkerId>>,
}

impl Farm {
    /// Starts everything and returns when it takes requests.
    pub async fn start(folder: &Path, endless_leases: bool) -> Result<Self> {
        let parts = Parts::find(Some(&checkout().join(".deps")));
        let part = |name: &str| -> Result<PathBuf> {
            let part = folder.join(name);
            fs::create_dir(&part)?;
            Ok(part)
        };
        let postgres = PostgresServer::start(&parts, &folder.join("postgres"))?;
        let nats = NatsServer::start(&parts, &part("nats")?)?;
        let seaweed = Seaweed::start(&parts, &part("store")?).await?;
        let gate = Gate::before(seaweed.port()).await?;
        let store_url = seaweed.url();
        let nats_url = nats.url();
        let nats_port = nats_url.rsplit(':').next().unwrap_or_default().parse()?;
        let mut wires = Vec::new();
        for _ in 0..WORKERS {
            wires.push(Wire::to(nats_port).await?);
        }
        let mut farm = Self {
            coordinators: Vec::new(),
            workers: Vec::new(),
            apis: Vec::new(),
            wires,
            gate: Turn::new(gate),
            seaweed: Turn::new(seaweed),
            store_url,
            database_url: postgres.url(),
            postgres: Turn::new(postgres),
            nats: Turn::new(nats),
            nats_url,
            names: Names::new(PREFIX)?,
            folder: folder.to_owned(),
            struck: Mutex::default(),
            died: Mutex::default(),
        };
        farm.start_programs(&parts, endless_leases).await?;
        Ok(farm)
    }

    async fn start_programs(&mut self, parts: &Parts, endless_leases: bool) -> Result<()> {
        let store = Seaweed::environment_at(self.gate.get_mut().port());
        let lease_ms = if endless_leases {
            ENDLESS_MS
        } else {
            LEASE.as_millis() as u64
        };
        let mut urls = Vec::new();
        for number in 1..=COORDINATORS {
            let address = format!("127.0.0.1:{}", free_port(None)?);
            let lease_ms = lease_ms.to_string();
            let arguments = [
                ["--listen", &address],
                ["--nats-url", &self.nats_url],
                ["--database-url", &self.database_url],
                ["--store-url", &self.store_url],
                ["--prefix", PREFIX],
                ["--model", MODEL],
                ["--lease-ms", &lease_ms],
            ];
            let mut program = Program::new(
                &format!("coordinator-{number}"),
                parts.program("atelier-coordinator")?,
                &self.folder,
                words(&arguments),
                store.clone(),
            );
            urls.push(program.start(&[])?);
            self.coordinators.push(Turn::new(program));
        }
        for number in 1..=TENANTS {
            let key = self.new_key(parts, &format!("tenant-{number}"))?;
            let clients = urls
                .iter()
                .map(|url| Api::patient(url, Some(&key), PATIENCE));
            self.apis.push(clients.collect::<Result<_>>()?);
        }
        let double = ("ATELIER_ALLOW_TEST_DOUBLE".to_owned(), "1".to_owned());
        for (index, wire) in self.wires.iter().enumerate() {
            let name = format!("worker-{}", index + 1);
            let nats_url = format!("nats://127.0.0.1:{}", wire.port());
            let arguments = [
                ["--name", &name],
                ["--nats-url", &nats_url],
                ["--store-url", &self.store_url],
                ["--prefix", PREFIX],
                ["--engine", "double"],
                ["--double-model", MODEL],
                ["--double-step-ms", STEP_MS],
            ];
            let mut program = Program::new(
                &name,
                parts.program("atelier-worker")?,
                &self.folder,
                words(&arguments),
                [store.clone(), vec![double.clone()]].concat(),
            );
            program.start(&[])?;
            self.workers.push(Turn::new(program));
        }
        Ok(())
    }

    /// An API key of a tenant.
    fn new_key(&self, parts: &Parts, tenant: &str) -> Result<String> {
        let made = Command::new(parts.program("atelier-coordinator")?)
            .args(["key", "create", "--tenant", tenant])
            .args(["--database-url", &self.database_url])
            .output()?;
        let error = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "no key for {tenant}: {error}");
        Ok(String::from_utf8(made.stdout)?.trim().to_owned())
    }

    /// A connection to the database, past the coordinators.
    pub async fn database(&self) -> Result<PgConnection> {
        let connect = PgConnection::connect(&self.database_url);
        Ok(tokio::time::timeout(PATIENCE, connect).await??)
    }

    /// Remembers that a worker was struck: a job that it held is rightly held against it.
    pub fn note_struck(&self, worker: WorkerId) {
        lock(&self.struck).insert(worker);
    }

    /// Remembers that a worker died of what it worked on.
    pub fn note_died(&self, worker: WorkerId) {
        lock(&self.died).insert(worker);
    }

    /// The workers that died of what they worked on.
    pub fn died(&self) -> HashSet<WorkerId> {
        lock(&self.died).clone()
    }

    /// The workers that were struck so far.
    pub fn struck(&self) -> HashSet<WorkerId> {
        lock(&self.struck).clone()
    }

    /// Whether a worker holds a job over which another one fell silent before.
    pub async fn holds_an_orphan(&self, worker: WorkerId) -> Result<bool> {
        let asked = async {
            let held = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM jobs WHERE state = 'dispatched' AND worker_id = $1 AND dead_workers <> '{}')",
            );
            let mut database = self.database().await?;
            Ok(held.bind(worker.as_uuid()).fetch_one(&mut database).await?)
        };
        tokio::time::timeout(Duration::from_secs(1), asked).await?
    }
}

/// The id that a worker announced; another one after every start.
pub fn worker_id(program: &Program) -> Result<WorkerId> {
    let announced: serde_json::Value =
        serde_json::from_str(&program.announced()).context("the worker is not ready")?;
    serde_json::from_value(announced["worker"].clone()).context("the id of a worker")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(pairs: &[[&str; 2]]) -> Vec<String> {
    pairs
        .iter()
        .flatten()
        .map(|&word| word.to_owned())
        .collect()
}
