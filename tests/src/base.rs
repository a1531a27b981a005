//! Servers and folders that the tests of one program share.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use atelier_cli::servers::{Durability, Nats, Parts, Postgres, free_port, spawn, wait_until};

/// How long a server may take to become ready: much, for a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is shared.
pub struct Base {
    /// Where the programs are.
    pub parts: Parts,
    /// Folder of this test program.
    pub folder: PathBuf,
    /// The database server.
    pub postgres: Postgres,
    /// Where the shared NATS is.
    pub nats_url: String,
    // They end with this process; kept so that nobody takes them for forgotten.
    _children: Mutex<Vec<Child>>,
}

/// The shared servers, started by whoever asks first.
pub fn base() -> Result<&'static Base> {
    static BASE: OnceLock<Result<Base, String>> = OnceLock::new();
    BASE.get_or_init(|| Base::start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("the shared servers did not start: {error}"))
}

impl Base {
    fn start() -> Result<Self> {
        let parts = Parts::find(Some(&checkout().join(".deps")));
        let folder = own_folder()?;
        let (postgres, postgres_child) = start_postgres(&parts, &folder.join("postgres"))?;
        let (nats, nats_child) = start_nats(&parts, &folder.join("nats"), None)?;
        Ok(Self {
            parts,
            folder,
            postgres,
            nats_url: nats.url(),
            _children: Mutex::new(vec![postgres_child, nats_child]),
        })
    }
}

/// Root of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in a folder of the checkout")
}

/// A fresh folder that names this process; folders of test programs that are gone are removed first.
fn own_folder() -> Result<PathBuf> {
    const NAME: &str = "atelier-tests-";
    let parent = std::env::temp_dir();
    for entry in fs::read_dir(&parent).with_context(|| format!("read {}", parent.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test program may be tidying up as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = parent.join(format!("{NAME}{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// Starts PostgreSQL on a fresh folder.
fn start_postgres(parts: &Parts, folder: &Path) -> Result<(Postgres, Child)> {
    let install = parts.postgres()?;
    let postgres = Postgres::prepare(
        &install,
        folder,
        free_port(None)?,
        Durability::ProcessesOnly,
    )?;
    let log = folder.join("server.log");
    let mut command = postgres.command();
    let output = fs::File::create(&log)?;
    command.stdout(output.try_clone()?).stderr(output);
    let mut child = spawn(command, Postgres::STOP)?;
    let pid = child.id();
    wait_until("PostgreSQL", &mut child, &log, PATIENCE, || {
        postgres.is_ready(pid)
    })?;
    Ok((postgres, child))
}

/// Starts NATS on a folder; on `port` if given, as at a restart.
pub fn start_nats(parts: &Parts, folder: &Path, port: Option<u16>) -> Result<(Nats, Child)> {
    let nats = Nats::prepare(&parts.nats()?, folder, free_port(port)?)?;
    let log = folder.join("server.log");
    let mut command = nats.command();
    let output = fs::File::options().create(true).append(true).open(&log)?;
    command.stdout(output.try_clone()?).stderr(output);
    let mut child = spawn(command, Nats::STOP)?;
    wait_until("NATS", &mut child, &log, PATIENCE, || nats.is_ready())?;
    Ok((nats, child))
}
