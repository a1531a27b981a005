//! Which farm is meant: --server, ATELIER_SERVER, or the one of a data folder.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    exit::{Unreachable, Usage},
    farm::DataDir,
};

/// Options of every command that has to do with a farm on this machine.
#[derive(clap::Args, Clone, Debug)]
pub struct DataArgs {
    /// Folder of the farm on this machine.
    #[arg(
        long,
        value_name = "DIR",
        env = "ATELIER_DATA",
        default_value = ".atelier"
    )]
    pub data: PathBuf,
}

/// Options of every command that talks to a farm.
#[derive(clap::Args, Clone, Debug)]
pub struct ServerArgs {
    /// Address of the farm; without it, the one that runs in --data.
    #[arg(long, value_name = "URL", env = "ATELIER_SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub data: DataArgs,
}

/// Where a farm is, and what to tell the user when it does not answer.
#[derive(Clone, Debug)]
pub struct Place {
    /// Address without a slash at the end.
    pub server: String,
    /// What to do when nobody answers there.
    pub hint: String,
}

impl ServerArgs {
    /// Finds the farm that is meant; an error with advice when there is none.
    pub fn place(&self) -> Result<Place> {
        if let Some(server) = &self.server {
            let server = server.trim_end_matches('/').to_owned();
            if !server.starts_with("http://") && !server.starts_with("https://") {
                return Err(Usage(format!(
                    "--server {server}: an address starts with http:// or https://"
                ))
                .into());
            }
            let hint = "Is that address right? 'atelier up' starts a farm on this machine.".into();
            return Ok(Place { server, hint });
        }
        let data = DataDir::at(&self.data.data)?;
        let folder = data.folder().display().to_string();
        let start = if self.data.data.as_os_str() == ".atelier" {
            "atelier up --detach".to_owned()
        } else {
            format!("atelier up --detach --data {}", self.data.data.display())
        };
        let nothing = |reason: &str| {
            let unreachable = Unreachable {
                server: folder.clone(),
                reason: reason.to_owned(),
                hint: format!(
                    "Start one with '{start}', or name another one's address with --server."
                ),
            };
            anyhow::Error::from(unreachable)
        };
        match (data.runner()?, data.info()) {
            (None, _) => Err(nothing("none runs here")),
            (Some(pid), Some(info)) if info.pid == pid => Ok(Place {
                server: info.server,
                hint: format!("It runs, but does not answer; see the logs in {folder}/logs."),
            }),
            (Some(_), _) => Err(nothing("it is just starting")),
        }
    }
}
