//! Child processes that end with this one, however this one ends.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use super::ServerError;

struct Order {
    command: Command,
    answer: mpsc::Sender<io::Result<Child>>,
}

/// Starts `command` in a process group of its own; when this process dies, even of SIGKILL, the child gets `farewell`.
pub fn spawn(mut command: Command, farewell: Signal) -> io::Result<Child> {
    command.process_group(0);
    let last_wish =
        move || set_parent_process_death_signal(Some(farewell)).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(last_wish) };
    let (answer, answered) = mpsc::channel();
    keeper()
        .send(Order { command, answer })
        .map_err(|_| io::Error::other("the thread that starts processes is gone"))?;
    answered.recv().map_err(io::Error::other)?
}

/// The kernel sends a child its parent's death signal when the *thread* that started it ends: this one never does.
fn keeper() -> mpsc::Sender<Order> {
    static KEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    KEEPER
        .get_or_init(|| {
            let (orders, taken) = mpsc::channel::<Order>();
            thread::spawn(move || {
                for Order {
                    mut command,
                    answer,
                } in taken
                {
                    // Whoever asked may have given up; then the child is dropped, and nobody misses it.
                    let _ = answer.send(command.spawn());
                }
            });
            orders
        })
        .clone()
}

/// Ends `child` with `signal`, and with SIGKILL if it is still there after `patience`.
pub fn end(child: &mut Child, signal: Signal, patience: Duration) -> io::Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal)?;
    }
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()
}

/// Asks `ready` every few milliseconds until it says yes. An error if the child ends or `limit` passes.
pub fn wait_until(
    name: &str,
    child: &mut Child,
    log: &Path,
    limit: Duration,
    mut ready: impl FnMut() -> bool,
) -> Result<(), ServerError> {
    let deadline = Instant::now() + limit;
    loop {
        if ready() {
            return Ok(());
        }
        let ended = child.try_wait().map_err(|source| ServerError::Start {
            name: name.to_owned(),
            source,
        })?;
        if let Some(status) = ended {
            return Err(ServerError::Ended {
                name: name.to_owned(),
                status,
                tail: log_tail(log),
            });
        }
        if Instant::now() > deadline {
            return Err(ServerError::NotReady {
                name: name.to_owned(),
                seconds: limit.as_secs(),
                tail: log_tail(log),
            });
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The last lines of a log file, indented; says so when there is none.
pub fn log_tail(log: &Path) -> String {
    const LINES: usize = 12;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.is_empty() {
        return format!("  (nothing in {})", log.display());
    }
    lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
