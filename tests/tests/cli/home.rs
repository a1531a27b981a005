//! A folder with a farm in it, and the command that is run there.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use atelier_cli::{
    farm::{DataDir, FarmInfo},
    servers::Parts,
};
use atelier_proto::http::RequestView;
use serde::de::DeserializeOwned;

/// One farm in a folder of its own; whatever happens, it is stopped at the end.
pub struct Home {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Home {
    pub fn new() -> Result<Self> {
        let binary = Parts::find(None).program("atelier")?;
        Ok(Self {
            folder: tempfile::Builder::new().prefix("atelier-cli-").tempdir()?,
            binary,
        })
    }

    /// The same with a farm that runs.
    pub fn with_farm() -> Result<Self> {
        let home = Self::new()?;
        home.ok(&["up", "--detach"])?;
        Ok(home)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ATELIER_ENGINE", "double")
            .env("ATELIER_ALLOW_TEST_DOUBLE", "1")
            .env("ATELIER_DATA", self.path("farm"))
            .env("ATELIER_CONFIG", self.path("config.toml"))
            .env_remove("ATELIER_PROFILE")
            .env_remove("ATELIER_URL")
            .env_remove("ATELIER_API_KEY")
            .env_remove("ATELIER_DATABASE_URL");
        command
    }

    /// Runs a command that must end with `code`; its stdout and stderr.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Result<(String, String)> {
        check(code, arguments, &self.command(arguments).output()?)
    }

    /// Runs a command that must succeed; its stdout.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.expect(0, arguments)?.0)
    }

    /// Runs a command that must succeed, with `--json`.
    pub fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let text = self.ok(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?}: {text}"))
    }

    /// Runs a command that reads `input`.
    pub fn feed(&self, code: i32, arguments: &[&str], input: &str) -> Result<(String, String)> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        check(code, arguments, &child.wait_with_output()?)
    }

    /// Submits a request without waiting for it.
    pub fn submit(&self, arguments: &[&str]) -> Result<RequestView> {
        self.json(&[&["submit", "--detach"], arguments].concat())
    }

    pub fn farm(&self) -> Result<DataDir> {
        DataDir::at(&self.path("farm"))
    }

    pub fn info(&self) -> Result<FarmInfo> {
        self.farm()?.info().context("there is no farm.json")
    }

    /// Processes that still have to do with this farm; the command line of each names its folder.
    pub fn processes(&self) -> Result<Vec<String>> {
        let mark = self.folder.path().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let command = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if command.contains(&mark) {
                found.push(command);
            }
        }
        Ok(found)
    }
}

/// The output of a command that must have ended with `code`.
pub fn check(code: i32, arguments: &[&str], output: &Output) -> Result<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    ensure!(
        output.status.code() == Some(code),
        "{arguments:?}: {} instead of {code}\n{out}{err}",
        output.status
    );
    Ok((out, err))
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
        if std::thread::panicking() {
            let logs = fs::read_dir(self.path("farm/logs"));
            for log in logs.into_iter().flatten().flatten() {
                eprintln!(
                    "--- {} ---\n{}",
                    log.path().display(),
                    fs::read_to_string(log.path()).unwrap_or_default()
                );
            }
        }
    }
}

pub fn is_png(file: &Path) -> bool {
    image::open(file).is_ok() && fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"))
}

/// Fails unless every part is in the text.
pub fn says(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} is not in\n{text}");
    }
    Ok(())
}
