//! One of the farm's programs as a process that tests kill and start again.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use atelier_cli::servers::{end, log_tail, spawn, wait_until};
use rustix::process::{Pid, Signal};

use crate::base::PATIENCE;

/// A program of the farm. Killed when dropped.
pub struct Program {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    announce: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// A program that is not started yet. It writes to `folder/NAME.log`, and to `folder/NAME.announce` once ready.
    pub fn new(
        name: &str,
        binary: PathBuf,
        folder: &Path,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            binary,
            arguments,
            environment,
            announce: folder.join(format!("{name}.announce")),
            log: folder.join(format!("{name}.log")),
            child: None,
        }
    }

    /// Starts it and returns what it announced.
    pub fn start(&mut self, extra: &[String]) -> Result<String> {
        self.launch(extra)?;
        let child = self.child.as_mut().context("it was launched above")?;
        let announced = || fs::read_to_string(&self.announce).unwrap_or_default();
        wait_until(&self.name, child, &self.log, PATIENCE, || {
            !announced().trim().is_empty()
        })?;
        Ok(self.announced())
    }

    /// Starts it and does not wait for anything.
    pub fn launch(&mut self, extra: &[String]) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let _ = fs::remove_file(&self.announce);
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .args(extra)
            .arg("--announce")
            .arg(&self.announce)
            .envs(self.environment.iter().cloned())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = spawn(command, Signal::KILL)
            .with_context(|| format!("start {}: is the workspace built?", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The next start is of this file, another version for example.
    pub fn become_binary(&mut self, binary: PathBuf) {
        self.binary = binary;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it announced since it was started last; empty until it is ready.
    pub fn announced(&self) -> String {
        let announced = fs::read_to_string(&self.announce).unwrap_or_default();
        announced.trim().to_owned()
    }

    /// Process id; an error when it does not run.
    pub fn pid(&self) -> Result<u32> {
        self.child
            .as_ref()
            .map(Child::id)
            .with_context(|| format!("{} does not run", self.name))
    }

    /// Ends it with SIGKILL, as a crash does.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            bail!("{} does not run", self.name);
        };
        child.kill()?;
        let status = child.wait()?;
        ensure!(
            status.signal() == Some(Signal::KILL.as_raw()),
            "{} was already gone ({status}):\n{}",
            self.name,
            self.log_tail()
        );
        Ok(())
    }

    /// Asks it to end with SIGTERM and waits; its exit status.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        let Some(mut child) = self.child.take() else {
            bail!("{} does not run", self.name);
        };
        Ok(end(&mut child, Signal::TERM, patience)?)
    }

    /// Stops it where it stands, as a machine that hangs does; [`Program::resume`] lets it go on.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Program::freeze`].
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()?)?;
        let pid = Pid::from_raw(pid).context("no process has id 0")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Clears away a process that ended by itself.
    pub fn reap(&mut self) -> Result<ExitStatus> {
        let Some(mut child) = self.child.take() else {
            bail!("{} does not run", self.name);
        };
        let status = child.try_wait()?;
        status.with_context(|| format!("{} still runs", self.name))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Everything it wrote so far, over all its lives.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        format!("--- {} ---\n{}", self.name, log_tail(&self.log))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
