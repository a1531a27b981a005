//! What a farm on this machine needs.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::Finding;
use crate::{
    client::ApiKey,
    farm::DataDir,
    servers::{Identity, Parts, ServerError},
    show,
};

/// Free bytes below which a farm will soon be in trouble.
const LITTLE_DISK: u64 = 2 << 30;

/// Looks at programs, model, user, disk and data folder.
pub fn look(parts: &Parts, data: &DataDir) -> Vec<Finding> {
    let postgres = parts.postgres().map(|folder| folder.join("bin/postgres"));
    let shown = |found: Result<PathBuf, ServerError>| {
        found
            .map(|path| path.display().to_string())
            .map_err(|error| error.to_string())
    };
    let mut findings = vec![
        Finding::new("NATS", version(parts.nats())),
        Finding::new("PostgreSQL", version(postgres)),
        Finding::new("coordinator", version(parts.program("atelier-coordinator"))),
        // Fails as well when libtorch is not where the program looks for it.
        Finding::new("worker", version(parts.program("atelier-worker"))),
        Finding::new("model", shown(parts.model("atelier-mini"))),
        Finding::new("planner", shown(parts.language())),
        Finding::new("user", user(data, parts)),
        Finding::new("disk", disk(data.folder())),
        Finding::new("data", writable(data.folder())),
    ];
    if data.key_file().exists() {
        findings.push(Finding::new("key file", key_file(&data.key_file())));
    }
    findings
}

/// Runs a program with --version.
fn version(program: Result<PathBuf, ServerError>) -> Result<String, String> {
    let program = program.map_err(|error| error.to_string())?;
    let place = program.display();
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|error| format!("{place} cannot be run: {error}"))?;
    let text = |bytes: &[u8]| show::short(String::from_utf8_lossy(bytes).trim(), 200);
    match output.status.success() {
        true => Ok(format!("{} ({place})", text(&output.stdout))),
        false => Err(format!("{place} does not run: {}", text(&output.stderr))),
    }
}

/// The nearest folder on the way to `folder` that is there.
fn existing(folder: &Path) -> &Path {
    let found = folder.ancestors().find(|part| part.is_dir());
    found.unwrap_or(Path::new("/"))
}

/// PostgreSQL does not run as root; whether the user that it runs as then can get to it.
fn user(data: &DataDir, parts: &Parts) -> Result<String, String> {
    let Some(identity) = Identity::needed().map_err(|error| error.to_string())? else {
        return Ok("not root".into());
    };
    let install = parts.postgres().unwrap_or_default();
    let reached = identity.walks(existing(data.folder())) && identity.walks(&install);
    Ok(match reached {
        true => "root: PostgreSQL runs as nobody".into(),
        false => "root, in a folder that is closed to others: PostgreSQL runs as nobody from a place in /var/lib".into(),
    })
}

fn disk(folder: &Path) -> Result<String, String> {
    let stat = rustix::fs::statvfs(existing(folder))
        .map_err(|error| format!("cannot ask about {}: {error}", folder.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let text = format!("{:.1} GB free for {}", free as f64 / 1e9, folder.display());
    match free < LITTLE_DISK {
        true => Err(format!("{text}: make room")),
        false => Ok(text),
    }
}

fn writable(folder: &Path) -> Result<String, String> {
    let place = existing(folder);
    rustix::fs::access(
        place,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .map_err(|error| {
        format!(
            "{} cannot be written ({error}): name another folder with --data",
            place.display()
        )
    })?;
    Ok(match place == folder {
        true => folder.display().to_string(),
        false => format!("{} will be made by 'atelier up'", folder.display()),
    })
}

fn key_file(file: &Path) -> Result<String, String> {
    ApiKey::in_file(file)
        .map_err(|error| format!("{error:#}: remove it, 'atelier up' makes another"))?;
    let mode = file.metadata().map_err(|error| error.to_string())?;
    let mode = mode.permissions().mode() & 0o777;
    let place = file.display();
    match mode & 0o077 {
        0 => Ok(place.to_string()),
        _ => Err(format!(
            "others may read {place} (mode {mode:o}): chmod 600 {place}"
        )),
    }
}
