//! The announce file: written at once, whole, when the worker is ready; whoever started it waits for that.

use std::path::Path;

use anyhow::Context;
use atelier_proto::{WorkerId, job::JobKind};
use serde::{Deserialize, Serialize};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Id of the worker, new at every start.
    pub worker: WorkerId,
    /// Its name for people.
    pub name: String,
    /// Model it has loaded.
    pub model: String,
    /// Device it computes on.
    pub device: String,
    /// Kinds of jobs it takes.
    pub roles: Vec<JobKind>,
    /// Its process id.
    pub pid: u32,
}

/// Writes the file beside its place and moves it there, so that nobody reads half of it.
pub fn write(path: &Path, announcement: &Announcement) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(announcement)?;
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("announce file {}", path.display()))
}
