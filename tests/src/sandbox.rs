//! A farm of one test: own database, own prefix, own objects; coordinators and workers on demand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Mutex,
};

use anyhow::{Context, Result};
use atelier_cli::servers::Nats;
use futures::TryStreamExt;
use object_store::{ObjectStore, local::LocalFileSystem, path::Path as Key};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Api, Program,
    base::{Base, base, checkout, start_nats},
    seaweed::Seaweed,
};

/// What a test wants to have for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A NATS server of its own, which [`Sandbox::wipe_nats`] may kill.
    pub own_nats: bool,
    /// Objects in SeaweedFS instead of a folder.
    pub s3: bool,
}

/// Where the farm of one test lives. Drop programs before it.
pub struct Sandbox {
    /// First token of every NATS name.
    pub prefix: String,
    /// The test's own database.
    pub database_url: String,
    /// The NATS server.
    pub nats_url: String,
    /// Where artifacts are, as `--store-url` takes it.
    pub store_url: String,
    /// Environment that programs need, for S3.
    pub environment: Vec<(String, String)>,
    folder: TempDir,
    base: &'static Base,
    key: Mutex<Option<String>>,
    programs: Mutex<Option<PathBuf>>,
    own_nats: Option<Mutex<OwnNats>>,
    seaweed: Option<Seaweed>,
}

struct OwnNats {
    server: Nats,
    folder: PathBuf,
    child: Child,
}

/// A coordinator and its API.
pub struct Coordinator {
    /// The process.
    pub program: Program,
    /// Its API; stays the same over restarts.
    pub api: Api,
}

/// A worker.
pub struct Worker {
    /// The process.
    pub program: Program,
}

impl Sandbox {
    /// A sandbox with the shared servers and a folder for objects.
    pub async fn start() -> Result<Self> {
        Self::with(Options::default()).await
    }

    /// A sandbox with servers of its own.
    pub async fn with(options: Options) -> Result<Self> {
        // Starting servers blocks this thread; every test has a runtime of its own.
        let base = base()?;
        let folder = tempfile::Builder::new()
            .prefix("test-")
            .tempdir_in(&base.folder)?;
        let prefix = format!("t{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&base.postgres.url("postgres")).await?;
        let create = format!("CREATE DATABASE {prefix}");
        sqlx::query(sqlx::AssertSqlSafe(create))
            .execute(&mut admin)
            .await?;
        admin.close().await?;
        let own_nats = if options.own_nats {
            let folder = folder.path().join("nats");
            let (server, child) = start_nats(&base.parts, &folder, None)?;
            Some(OwnNats {
                server,
                folder,
                child,
            })
        } else {
            None
        };
        let nats_url = own_nats
            .as_ref()
            .map_or(base.nats_url.clone(), |own| own.server.url());
        let objects = folder.path().join("objects");
        fs::create_dir(&objects)?;
        let seaweed = if options.s3 {
            Some(Seaweed::start(&base.parts, &folder.path().join("s3")).await?)
        } else {
            None
        };
        Ok(Self {
            database_url: base.postgres.tcp_url(&prefix),
            store_url: seaweed
                .as_ref()
                .map_or(format!("file://{}", objects.display()), Seaweed::url),
            environment: seaweed
                .as_ref()
                .map(Seaweed::environment)
                .unwrap_or_default(),
            key: Mutex::new(None),
            programs: Mutex::new(None),
            own_nats: own_nats.map(Mutex::new),
            prefix,
            nats_url,
            folder,
            base,
            seaweed,
        })
    }

    /// A folder of this test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of the farm's programs: as built, unless [`Sandbox::use_programs_of`] said otherwise.
    pub fn binary(&self, name: &'static str) -> Result<PathBuf> {
        let other = self
            .programs
            .lock()
            .expect("nobody panics while holding it");
        match &*other {
            Some(folder) => Ok(folder.join(name)),
            None => Ok(self.base.parts.program(name)?),
        }
    }

    /// Takes the farm's programs from `folder` from now on, those of another version for example; none is this build's again.
    pub fn use_programs_of(&self, folder: Option<PathBuf>) {
        *self
            .programs
            .lock()
            .expect("nobody panics while holding it") = folder;
    }

    /// The objects of the store, past the farm.
    pub fn objects(&self) -> Result<Box<dyn ObjectStore>> {
        Ok(match &self.seaweed {
            Some(seaweed) => Box::new(seaweed.objects()?),
            None => {
                let root = self.folder.path().join("objects");
                Box::new(LocalFileSystem::new_with_prefix(root)?)
            }
        })
    }

    /// Objects under `artifacts/`: how many files the store holds.
    pub async fn artifact_count(&self) -> Result<usize> {
        let found = self.objects()?.list(Some(&Key::from("artifacts")));
        Ok(found.try_collect::<Vec<_>>().await?.len())
    }

    /// Starts a coordinator and waits until it is ready. `extra` arguments come last.
    pub fn coordinator(&self, name: &str, extra: &[&str]) -> Result<Coordinator> {
        let mut arguments = self.shared_arguments();
        let own = [
            "--database-url",
            &self.database_url,
            "--model",
            "atelier-mini",
        ];
        arguments.extend(
            own.into_iter()
                .chain(extra.iter().copied())
                .map(str::to_owned),
        );
        let binary = self.binary("atelier-coordinator")?;
        let mut program = Program::new(
            name,
            binary,
            self.folder(),
            arguments,
            self.environment.clone(),
        );
        let listen = ["--listen", "127.0.0.1:0"].map(str::to_owned);
        let url = program.start(&listen)?;
        Ok(Coordinator {
            program,
            api: Api::new(&url, Some(&self.own_key()?))?,
        })
    }

    /// Runs one of the coordinator's commands on the test's database; what it printed.
    pub fn administer(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(self.binary("atelier-coordinator")?)
            .args(arguments)
            .env("ATELIER_DATABASE_URL", &self.database_url)
            .output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        anyhow::ensure!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            output.status,
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// A new API key of a tenant; a coordinator must have been started before, for the schema.
    pub fn key_of(&self, tenant: &str) -> Result<String> {
        self.administer(&["key", "create", "--tenant", tenant, "--note", "of a test"])
    }

    /// The key of the tenant `test`, made when it is first needed.
    pub fn own_key(&self) -> Result<String> {
        let mut own = self.key.lock().expect("nobody panics while holding it");
        if let Some(key) = &*own {
            return Ok(key.clone());
        }
        Ok(own.insert(self.key_of("test")?).clone())
    }

    /// Starts a worker with the test double and waits until it is ready.
    pub fn worker(&self, name: &str, extra: &[&str]) -> Result<Worker> {
        let double = ["--engine", "double"];
        let allow = ("ATELIER_ALLOW_TEST_DOUBLE".to_owned(), "1".to_owned());
        self.start_worker(name, double.iter().chain(extra), vec![allow])
    }

    /// Starts a worker with the default model and waits until it is ready.
    pub fn real_worker(&self, name: &str, extra: &[&str]) -> Result<Worker> {
        let engine = ["--engine", "torch", "--device", "cpu"];
        self.start_worker(name, engine.iter().chain(extra), Vec::new())
    }

    fn start_worker<'a>(
        &self,
        name: &str,
        own: impl Iterator<Item = &'a &'a str>,
        environment: Vec<(String, String)>,
    ) -> Result<Worker> {
        let mut arguments = self.shared_arguments();
        let model = checkout()
            .join("deploy/models/atelier-mini")
            .display()
            .to_string();
        let language = self.base.parts.language()?.display().to_string();
        arguments.extend([
            "--model".to_owned(),
            model,
            "--language".to_owned(),
            language,
        ]);
        arguments.extend(own.copied().map(str::to_owned));
        if !arguments.iter().any(|argument| argument == "--roles") {
            arguments.extend(["--roles", "plan,render,critique"].map(str::to_owned));
        }
        let environment = [self.environment.clone(), environment].concat();
        let binary = self.binary("atelier-worker")?;
        let mut program = Program::new(name, binary, self.folder(), arguments, environment);
        program.start(&[])?;
        Ok(Worker { program })
    }

    fn shared_arguments(&self) -> Vec<String> {
        let pairs = [
            ("--nats-url", &self.nats_url),
            ("--store-url", &self.store_url),
            ("--prefix", &self.prefix),
        ];
        pairs
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value.clone()])
            .collect()
    }

    /// Kills this test's own NATS with SIGKILL, deletes its streams and starts it again, empty, at the same address.
    pub fn wipe_nats(&self) -> Result<()> {
        let own = self
            .own_nats
            .as_ref()
            .context("the sandbox was made without own_nats")?;
        let mut own = own.lock().expect("nobody panics while holding it");
        own.child.kill()?;
        own.child.wait()?;
        fs::remove_dir_all(own.server.store())?;
        let port = self
            .nats_url
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let (server, child) = start_nats(&self.base.parts, &own.folder, port)?;
        anyhow::ensure!(
            server.url() == self.nats_url,
            "another process took the port of NATS"
        );
        (own.server, own.child) = (server, child);
        Ok(())
    }

    /// What PostgreSQL says of all tests' databases.
    pub fn postgres_log(&self) -> PathBuf {
        self.base.folder.join("postgres/server.log")
    }

    /// A connection to the test's database.
    pub async fn database(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url).await?)
    }
}

impl Drop for OwnNats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Coordinator {
    /// Starts it again at the same address after a kill, and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        let address = self.api.base().trim_start_matches("http://").to_owned();
        let announced = self.program.start(&["--listen".to_owned(), address])?;
        anyhow::ensure!(announced == self.api.base(), "it came back at {announced}");
        Ok(())
    }
}

impl Worker {
    /// Starts it again after it died by itself, and waits until it is ready.
    pub fn restart_dead(&mut self) -> Result<()> {
        self.program.reap()?;
        self.restart()
    }

    /// Starts it again after a kill, and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.program.start(&[]).map(drop)
    }
}
