//! The coordinator's own commands, run on the database of a farm: its keys and its schema.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::DataDir;

/// Tenant of the farm on this machine.
pub const LOCAL_TENANT: &str = "local";

/// Where the coordinator's program and the database are.
#[derive(Clone)]
pub struct Admin {
    program: PathBuf,
    database_url: String,
}

impl Admin {
    /// Nothing is run yet.
    pub fn new(program: PathBuf, database_url: String) -> Self {
        Self {
            program,
            database_url,
        }
    }

    /// `atelier-coordinator ARGUMENTS` for this database. Its address holds a password: anybody may read a command line,
    /// so it goes by the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("ATELIER_DATABASE_URL", &self.database_url);
        command
    }

    /// Makes a key for the farm's own user and leaves it in the data folder.
    pub fn make_local_key(&self, data: &DataDir) -> Result<()> {
        let note = format!("atelier up in {}", data.folder().display());
        let arguments = ["key", "create", "--tenant", LOCAL_TENANT, "--note", &note];
        let output = self
            .command(&arguments)
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if !output.status.success() {
            bail!(
                "no key could be made ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let key = String::from_utf8(output.stdout).context("a key is ASCII")?;
        write_secret(&data.key_file(), key.trim())
    }
}

/// Writes a file that only its owner may read; whole or not at all.
fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let half = path.with_extension("half");
    let write = || {
        let _ = fs::remove_file(&half);
        let mut file = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&half)?;
        writeln!(file, "{secret}")?;
        fs::rename(&half, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_for_its_owner_alone_and_no_password_is_on_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::at(folder.path()).unwrap();
        // Stands in for the coordinator: prints its arguments and the variable.
        let program = folder.path().join("coordinator");
        fs::write(&program, "#!/bin/sh\necho \"$* $ATELIER_DATABASE_URL\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let admin = Admin::new(program, "postgres://a:secret@b/c".into());
        fs::write(data.key_file(), "an old one, open to all").unwrap();
        admin.make_local_key(&data).unwrap();
        let key = fs::read_to_string(data.key_file()).unwrap();
        assert!(
            key.starts_with("key create --tenant local --note atelier up in /"),
            "{key}"
        );
        assert!(key.ends_with(" postgres://a:secret@b/c\n"), "{key}");
        let mode = fs::metadata(data.key_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
