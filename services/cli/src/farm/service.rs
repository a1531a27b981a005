//! One process that is kept running: started again when it ends by itself, with growing pauses.

use std::{
    fs::{self, File},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::servers::{log_tail, spawn};

/// First pause before a process is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that ran this long was healthy: the next pause is the first again.
const HEALTHY: Duration = Duration::from_secs(10);
/// Log files above this size are put aside when their process starts.
const LONGEST_LOG: u64 = 64 << 20;

/// What to keep running and how to end it.
pub struct Spec {
    /// Name in messages and of the log file.
    pub name: String,
    /// Where its output goes.
    pub log: PathBuf,
    /// What starts it.
    pub command: Box<dyn Fn() -> Command + Send>,
    /// Ends it in order.
    pub stop: Signal,
    /// Time it gets to end in order, before SIGKILL.
    pub patience: Duration,
}

/// A process that is kept running by a thread of its own.
pub struct Service {
    /// Name in messages.
    pub name: String,
    log: PathBuf,
    stop: Signal,
    patience: Duration,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pid: Option<Pid>,
    stopping: bool,
    ends: u32,
    last: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

impl Service {
    /// Starts the process and watches over it. `say` hears about every end that was not asked for.
    pub fn start(spec: Spec, say: impl Fn(String) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let (name, log, stop, patience) = (
            spec.name.clone(),
            spec.log.clone(),
            spec.stop,
            spec.patience,
        );
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || watch(&spec, &theirs, say));
        Self {
            name,
            log,
            stop,
            patience,
            shared,
            thread: Some(thread),
        }
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.shared
            .state()
            .pid
            .map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// How often it ended without being asked, and how the last time.
    pub fn ends(&self) -> (u32, Option<String>) {
        let state = self.shared.state();
        (state.ends, state.last.clone())
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    /// Asks it to end, waits, kills it if it does not, and does not start it again.
    pub fn stop(&mut self) {
        let mut state = self.shared.state();
        state.stopping = true;
        self.shared.changed.notify_all();
        if let Some(pid) = state.pid {
            // The watching thread reaps only with this lock held, so that the id is still the child's.
            let _ = kill_process(pid, self.stop);
        }
        let deadline = Instant::now() + self.patience;
        while state.pid.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if let Some(pid) = state.pid {
                    let _ = kill_process(pid, Signal::KILL);
                }
                break;
            }
            (state, _) = self
                .shared
                .changed
                .wait_timeout(state, left)
                .expect("nobody panics while holding it");
        }
        drop(state);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

fn watch(spec: &Spec, shared: &Shared, say: impl Fn(String)) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let ended = match launch(spec, shared) {
            Ok(None) => return,
            Ok(Some(child)) => reap(child, shared),
            Err(error) => format!("could not be started: {error}"),
        };
        let mut state = shared.state();
        shared.changed.notify_all();
        if state.stopping {
            return;
        }
        if started.elapsed() >= HEALTHY {
            pause = FIRST_PAUSE;
        }
        state.ends += 1;
        state.last = Some(ended.clone());
        say(format!(
            "{} {ended}; it is started again in {} ms",
            spec.name,
            pause.as_millis()
        ));
        let waited = shared
            .changed
            .wait_timeout_while(state, pause, |state| !state.stopping);
        if waited.expect("nobody panics while holding it").0.stopping {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Starts the process, unless it is to stop: then none.
fn launch(spec: &Spec, shared: &Shared) -> std::io::Result<Option<Child>> {
    let output = open_log(&spec.log)?;
    let mut state = shared.state();
    if state.stopping {
        return Ok(None);
    }
    let mut command = (spec.command)();
    command
        .stdin(std::process::Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let child = spawn(command, spec.stop)?;
    state.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    shared.changed.notify_all();
    Ok(Some(child))
}

/// Waits for the end of `child`; how it ended, in words.
fn reap(mut child: Child, shared: &Shared) -> String {
    let pid = shared.state().pid;
    if let Some(pid) = pid {
        // Leaves the dead child in place: until it is reaped, nobody else gets its id.
        let gone = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), gone) {}
    }
    let mut state = shared.state();
    state.pid = None;
    match child.wait() {
        Ok(status) => describe(status),
        Err(error) => format!("is gone: {error}"),
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// Opens a log for appending; one that has grown long is put aside first.
fn open_log(path: &PathBuf) -> std::io::Result<File> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LONGEST_LOG) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn shell(folder: &tempfile::TempDir, script: &str) -> Spec {
        let script = script.to_owned();
        Spec {
            name: "shell".into(),
            log: folder.path().join("shell.log"),
            command: Box::new(move || {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", &script]);
                command
            }),
            stop: Signal::TERM,
            patience: Duration::from_millis(300),
        }
    }

    #[test]
    fn what_dies_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let (told, heard) = mpsc::channel();
        let spec = shell(&folder, "echo life; exec sleep 600");
        let mut service = Service::start(spec, move |line| told.send(line).unwrap());
        let alive = || {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                match service.pid() {
                    Some(pid) => return pid,
                    None => assert!(Instant::now() < deadline, "never started"),
                }
                thread::sleep(Duration::from_millis(5));
            }
        };
        let first = alive();
        kill_process(Pid::from_raw(first.cast_signed()).unwrap(), Signal::KILL).unwrap();
        let line = heard.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(line.starts_with("shell was killed by signal 9"), "{line}");
        let second = alive();
        assert_ne!(first, second);
        service.stop();
        assert_eq!(service.pid(), None);
        assert_eq!(service.ends().0, 1, "the stop is no crash");
        assert!(!std::path::Path::new(&format!("/proc/{second}")).exists());
    }

    #[test]
    fn what_does_not_listen_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script = format!(
            "trap '' TERM; touch {}; while :; do sleep 600; done",
            ready.display()
        );
        let mut service = Service::start(shell(&folder, &script), |_| ());
        while !ready.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        let before = Instant::now();
        service.stop();
        let took = before.elapsed();
        assert!(
            (Duration::from_millis(300)..Duration::from_secs(10)).contains(&took),
            "{took:?}"
        );
    }
}
