//! Which database the commands of its keepers mean: `key` and `migrate`. They run the coordinator's own commands; this
//! program knows no SQL.

use std::{
    path::PathBuf,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    client::DataArgs,
    exit::{FAILED, Unreachable},
    farm::{Admin, DataDir},
    servers::{Parts, Postgres},
};

/// Which database.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// PostgreSQL of the farm, as postgres://user:password@host/database; without it, the one of the farm that runs in
    /// --data. The variable keeps the password off the command line
    #[arg(
        long,
        value_name = "URL",
        env = "ATELIER_DATABASE_URL",
        hide_env_values = true,
        help_heading = "Which farm"
    )]
    database_url: Option<String>,
    #[command(flatten)]
    data: DataArgs,
    /// Folder that deploy/setup filled; without it, the one of this checkout
    #[arg(long, value_name = "DIR", env = "ATELIER_DEPS", hide_env_values = true)]
    deps: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Runs `atelier-coordinator ARGUMENTS`; it prints for itself.
    pub fn run(&self, arguments: &[&str]) -> Result<ExitCode> {
        let url = self.url()?;
        let program = Parts::find(self.deps.as_deref()).program("atelier-coordinator")?;
        let admin = Admin::new(program, url);
        let status = admin
            .command(arguments)
            .status()
            .context("cannot start atelier-coordinator")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(FAILED)))
    }

    /// What `atelier-coordinator ARGUMENTS` prints; its complaints go to stderr as they are.
    pub fn read(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let program = Parts::find(self.deps.as_deref()).program("atelier-coordinator")?;
        let admin = Admin::new(program, self.url()?);
        let done = admin
            .command(arguments)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start atelier-coordinator")?;
        ensure!(done.status.success(), "atelier-coordinator did not do it");
        Ok(done.stdout)
    }

    fn url(&self) -> Result<String> {
        if let Some(url) = self.database_url.as_ref().filter(|url| !url.is_empty()) {
            return Ok(url.clone());
        }
        let data = DataDir::at(&self.data.data)?;
        match data.running()? {
            Some(info) => Ok(Postgres::url_of(
                &data.postgres(),
                info.postgres_port,
                "postgres",
            )?),
            None => Err(Unreachable {
                url: data.folder().display().to_string(),
                reason: "its database runs only while the farm does".into(),
                hint: format!(
                    "Start it with 'atelier up --detach{}', or name another database with ATELIER_DATABASE_URL.",
                    self.data.flag()
                ),
                reached: false,
            }
            .into()),
        }
    }
}
