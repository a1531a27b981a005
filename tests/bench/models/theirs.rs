//! The reference in a Python of its own, called in turns with ours.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;

use crate::shapes::Case;

/// What Python runs.
const PROGRAM: &str = include_str!("reference.py");

/// A Python that waits for calls; it ends with this value.
pub struct Theirs {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Theirs {
    /// Starts `python`, which must have torch, diffusers and transformers.
    pub fn start(python: &Path, threads: usize) -> Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", PROGRAM, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let say = child.stdin.take().context("no stdin")?;
        let hear = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, say, hear })
    }

    /// Makes the network of a case; `told` is what our side says of it.
    pub fn make(&mut self, case: &Case, told: &Json, device: &str) -> Result<()> {
        let mut line = case.work.json();
        line["config"] = case.config.clone();
        line["device"] = device.into();
        line["told"] = told.clone();
        let answer = self.ask(&line.to_string())?;
        ensure!(answer == "ready", "the reference answered {answer}");
        Ok(())
    }

    /// Milliseconds of one call.
    pub fn call(&mut self) -> Result<f64> {
        let answer = self.ask("go")?;
        answer
            .as_f64()
            .with_context(|| format!("the reference answered {answer}"))
    }

    /// Lets go of the network.
    pub fn forget(&mut self) -> Result<()> {
        writeln!(self.say)?;
        Ok(self.say.flush()?)
    }

    fn ask(&mut self, line: &str) -> Result<Json> {
        writeln!(self.say, "{line}")?;
        self.say.flush()?;
        let mut answer = String::new();
        self.hear.read_line(&mut answer)?;
        serde_json::from_str(&answer)
            .with_context(|| format!("the reference ended or answered {answer:?}"))
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // Nothing of it is of use to anybody; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
