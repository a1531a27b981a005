//! The run's own NATS and PostgreSQL, which it kills and starts again at the same address.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use atelier_cli::servers::{Durability, Nats, Parts, Postgres, end, free_port, spawn, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A NATS server.
pub struct NatsServer {
    server: Nats,
    log: PathBuf,
    child: Child,
}

impl NatsServer {
    /// Starts it on `folder`.
    pub fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        let server = Nats::prepare(&parts.nats()?, folder, free_port(None)?)?;
        let log = folder.join("server.log");
        let child = launch(server.command(), &log, Nats::STOP, "NATS", |_| {
            server.is_ready()
        })?;
        Ok(Self { server, log, child })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Deletes everything that it stored.
    pub fn wipe(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.server.store())?)
    }

    /// Starts it again and waits until it serves.
    pub fn start_again(&mut self) -> Result<()> {
        let server = &self.server;
        self.child = launch(server.command(), &self.log, Nats::STOP, "NATS", |_| {
            server.is_ready()
        })?;
        Ok(())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A PostgreSQL server.
pub struct PostgresServer {
    server: Postgres,
    log: PathBuf,
    child: Child,
}

impl PostgresServer {
    /// Makes a cluster in `folder` and starts it.
    pub fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        // SIGKILL of processes loses nothing that the kernel has; only a dead machine would.
        let server = Postgres::prepare(
            &parts.postgres()?,
            folder,
            free_port(None)?,
            Durability::ProcessesOnly,
        )?;
        let log = folder.join("server.log");
        let child = launch(
            server.command(),
            &log,
            Postgres::STOP,
            "PostgreSQL",
            |child| server.is_ready(child),
        )?;
        Ok(Self { server, log, child })
    }

    /// Where its database is.
    pub fn url(&self) -> String {
        self.server.url("postgres")
    }

    /// Ends the postmaster and every backend with SIGKILL at once.
    pub fn kill(&mut self) -> Result<()> {
        let backends = children_of(self.child.id())?;
        self.child.kill()?;
        for backend in backends {
            // It may have ended by itself when it saw the postmaster gone.
            let _ = kill_process(backend, Signal::KILL);
        }
        self.child.wait()?;
        Ok(())
    }

    /// Ends it in order: sessions are told to go.
    pub fn shut_down(&mut self) -> Result<()> {
        end(&mut self.child, Postgres::STOP, Duration::from_secs(20))?;
        Ok(())
    }

    /// Starts it again and waits until it takes connections.
    pub fn start_again(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let server = &self.server;
        loop {
            let started = launch(
                server.command(),
                &self.log,
                Postgres::STOP,
                "PostgreSQL",
                |child| server.is_ready(child),
            );
            match started {
                Ok(child) => {
                    self.child = child;
                    return Ok(());
                }
                // Its shared memory is taken until the last of the old backends is gone.
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(100)),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = self.shut_down();
    }
}

/// Starts a server and waits until `ready` says so of its process id.
fn launch(
    mut command: Command,
    log: &Path,
    farewell: Signal,
    name: &str,
    ready: impl Fn(u32) -> bool,
) -> Result<Child> {
    let output = fs::File::options().create(true).append(true).open(log)?;
    command.stdout(output.try_clone()?).stderr(output);
    let mut child = spawn(command, farewell).with_context(|| format!("start {name}"))?;
    let pid = child.id();
    wait_until(name, &mut child, log, PATIENCE, || ready(pid))?;
    Ok(child)
}

/// The processes that `parent` started, from what the kernel says.
fn children_of(parent: u32) -> Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // After the name in brackets: state, then the parent.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let its_parent = after_name.split_whitespace().nth(1);
        if its_parent == Some(parent.to_string().as_str()) {
            children.extend(Pid::from_raw(pid));
        }
    }
    Ok(children)
}
