//! A PostgreSQL cluster on a folder of its own, reachable over TCP with a password.

use std::{
    fs,
    io::Read,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use super::{
    Identity, ServerError, log_tail,
    unprivileged::{copy_for_all, outside},
};

/// What a commit has survived when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Power loss.
    Full,
    /// The death of every process, not of the machine; for tests.
    ProcessesOnly,
}

/// A prepared cluster that can be started.
#[derive(Clone, Debug)]
pub struct Postgres {
    install: PathBuf,
    /// Holds `cluster/` and `password`.
    folder: PathBuf,
    identity: Option<Identity>,
    password: String,
    port: u16,
    durability: Durability,
    /// What was done differently than asked, for people.
    pub note: Option<String>,
}

/// The one role; it owns the cluster.
const ROLE: &str = "atelier";

impl Postgres {
    /// Ends sessions and then the server ("fast shutdown").
    pub const STOP: Signal = Signal::INT;

    /// Makes the cluster in `folder` if there is none yet. As root, another user will run it, and what that user cannot
    /// reach is put elsewhere; `note` says where.
    pub fn prepare(
        install: &Path,
        folder: &Path,
        port: u16,
        durability: Durability,
    ) -> Result<Self, ServerError> {
        let identity = Identity::needed()?;
        let mut note = None;
        let (mut install, mut folder) = (install.to_owned(), folder.to_owned());
        if let Some(identity) = identity {
            if !identity.reaches(&folder) {
                let place = outside(&folder)?.join("postgres");
                note = Some(format!(
                    "PostgreSQL does not run as root, and another user cannot reach {}: its data is in {}",
                    folder.display(),
                    place.display()
                ));
                folder = place;
            }
            let program = install.join("bin/postgres");
            if !identity.reaches(&program) || !identity.reaches(&install.join("share")) {
                let place = outside(&program)?.join("postgresql");
                copy_for_all(&install, &place)?;
                install = place;
            }
        }
        if !folder.is_dir() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o711);
            builder
                .create(&folder)
                .map_err(ServerError::file("create", &folder))?;
            // Whatever the umask: the other user has to walk through.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))
                .map_err(ServerError::file("change", &folder))?;
        }
        let mut postgres = Self {
            install,
            folder,
            identity,
            password: String::new(),
            port,
            durability,
            note,
        };
        if !postgres.cluster().is_dir() {
            postgres.initialize()?;
        }
        let file = postgres.password_file();
        let password = fs::read_to_string(&file).map_err(ServerError::file("read", &file))?;
        postgres.password = password.trim().to_owned();
        Ok(postgres)
    }

    fn cluster(&self) -> PathBuf {
        self.folder.join("cluster")
    }

    fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    /// Runs initdb on a folder beside the final one, so that a crash leaves no half cluster.
    fn initialize(&self) -> Result<(), ServerError> {
        let half = self.folder.join("cluster.half");
        if half.exists() {
            fs::remove_dir_all(&half).map_err(ServerError::file("remove", &half))?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&half)
            .map_err(ServerError::file("create", &half))?;
        let secret = self.password_file();
        let _ = fs::remove_file(&secret);
        fs::write(&secret, "").map_err(ServerError::file("write", &secret))?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))
            .map_err(ServerError::file("change", &secret))?;
        fs::write(&secret, random_word()?).map_err(ServerError::file("write", &secret))?;
        if let Some(identity) = self.identity {
            identity.give(&half)?;
            identity.give(&secret)?;
        }
        let log = self.folder.join("initdb.log");
        let output = fs::File::create(&log).map_err(ServerError::file("create", &log))?;
        let errors = output
            .try_clone()
            .map_err(ServerError::file("open", &log))?;
        let mut command = self.tool("initdb");
        command
            .args([
                "--username",
                ROLE,
                "--auth",
                "scram-sha-256",
                "--encoding",
                "UTF8",
            ])
            .args(["--locale", "C", "--no-instructions"])
            .arg("--pwfile")
            .arg(&secret)
            .arg("--pgdata")
            .arg(&half)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        if self.durability == Durability::ProcessesOnly {
            command.arg("--no-sync");
        }
        let status = command.status().map_err(|source| ServerError::Start {
            name: "initdb".into(),
            source,
        })?;
        if !status.success() {
            return Err(ServerError::Ended {
                name: "initdb".into(),
                status,
                tail: log_tail(&log),
            });
        }
        let cluster = self.cluster();
        fs::rename(&half, &cluster).map_err(ServerError::file("rename", &half))
    }

    /// One of its programs, with an environment free of the caller's PG* settings.
    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.install.join("bin").join(name));
        // A working directory that the other user can be in.
        command.env_clear().env("LC_ALL", "C").current_dir("/");
        if let Some(identity) = self.identity {
            identity.run(&mut command);
        }
        command
    }

    /// What starts it in the foreground.
    pub fn command(&self) -> Command {
        let mut command = self.tool("postgres");
        command.arg("-D").arg(self.cluster());
        command.arg("-p").arg(self.port.to_string());
        let mut set = |setting: &str| {
            command.args(["-c", setting]);
        };
        set("listen_addresses=127.0.0.1");
        set("unix_socket_directories=");
        set("max_connections=200");
        if self.durability == Durability::ProcessesOnly {
            set("fsync=off");
            set("full_page_writes=off");
        }
        command
    }

    /// Whether the server with this process id takes connections; its own state file says so.
    pub fn is_ready(&self, pid: u32) -> bool {
        let state = fs::read_to_string(self.cluster().join("postmaster.pid")).unwrap_or_default();
        let mut lines = state.lines();
        let owner = lines.next().map(str::trim) == Some(pid.to_string().as_str());
        // Line 8; see AddToDataDirLockFile in PostgreSQL's miscadmin.h.
        owner && lines.nth(6).map(str::trim) == Some("ready")
    }

    /// Where clients connect to `database`; `postgres` always exists.
    pub fn url(&self, database: &str) -> String {
        let (host, port, password) = (Ipv4Addr::LOCALHOST, self.port, &self.password);
        format!("postgres://{ROLE}:{password}@{host}:{port}/{database}")
    }
}

/// 32 hexadecimal digits from the kernel.
fn random_word() -> Result<String, ServerError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(ServerError::file("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
