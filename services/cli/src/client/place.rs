//! Which farm is meant: --url, ATELIER_URL, a profile, or the one of a data folder; and the key that it is asked with.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    Client,
    key::ApiKey,
    profile::{Defaults, Profile},
};
use crate::{
    exit::{Unreachable, Usage},
    farm::DataDir,
};

/// Options of every command that has to do with a farm on this machine.
#[derive(clap::Args, Clone, Debug)]
pub struct DataArgs {
    /// Folder of the farm on this machine
    #[arg(
        long,
        value_name = "DIR",
        env = "ATELIER_DATA",
        hide_env_values = true,
        default_value = ".atelier",
        help_heading = "Which farm"
    )]
    pub data: PathBuf,
}

/// Options of every command that talks to a farm.
#[derive(clap::Args, Clone, Debug)]
pub struct FarmArgs {
    /// Address of the farm; without it, the one that runs in --data
    #[arg(
        long,
        value_name = "URL",
        env = "ATELIER_URL",
        hide_env_values = true,
        help_heading = "Which farm"
    )]
    url: Option<String>,
    /// File with the API key; without it, ATELIER_API_KEY, else the key of the farm in --data
    #[arg(long, value_name = "FILE", help_heading = "Which farm")]
    key_file: Option<PathBuf>,
    /// Farm of this name in ~/.config/atelier/config.toml
    #[arg(
        long,
        value_name = "NAME",
        env = "ATELIER_PROFILE",
        hide_env_values = true,
        help_heading = "Which farm"
    )]
    profile: Option<String>,
    #[command(flatten)]
    pub data: DataArgs,
}

/// Where a farm is, who asks, and what to tell the user when it does not answer.
#[derive(Clone, Debug)]
pub struct Place {
    /// Address without a slash at the end.
    pub url: String,
    /// Says who asks.
    pub key: Option<ApiKey>,
    /// What to do when nobody answers there.
    pub hint: String,
}

impl Place {
    /// Whether the address is one of the machine that this runs on.
    pub fn is_on_this_machine(&self) -> bool {
        let host = self.url.split_once("://").map_or("", |(_, host)| host);
        ["127.", "localhost:", "localhost/", "[::1]"]
            .iter()
            .any(|start| format!("{host}/").starts_with(start))
    }
}

impl FarmArgs {
    /// The address that was named; an empty one is none.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    /// A client of the farm that is meant; an error with advice when there is none.
    pub fn client(&self) -> Result<Client> {
        Client::new(self.place()?)
    }

    /// Finds the farm that is meant; an error with advice when there is none.
    pub fn place(&self) -> Result<Place> {
        let data = DataDir::at(&self.data.data)?;
        let profile = self.profile()?.unwrap_or_default();
        let of_profile = profile.url.as_deref().map(address).transpose()?;
        let (url, hint) = match (self.url(), &of_profile) {
            (Some(url), _) => (address(url)?, AWAY.to_owned()),
            (None, Some(url)) => (url.clone(), AWAY.to_owned()),
            (None, None) => self.local(&data)?,
        };
        let mut key = ApiKey::named(self.key_file.as_deref())?;
        // As with the folder's key below: it is for the profile's own farm.
        if key.is_none()
            && of_profile.as_ref() == Some(&url)
            && let Some(file) = profile.key_file()?
        {
            key = Some(ApiKey::in_file(&file)?);
        }
        // The folder's key goes to the folder's own farm and to nobody else: not to who has its port after it.
        if key.is_none()
            && data.key_file().is_file()
            && data.running()?.is_some_and(|info| info.url == url)
        {
            key = Some(ApiKey::in_file(&data.key_file())?);
        }
        Ok(Place { url, key, hint })
    }

    /// What a submit has that does not say otherwise.
    pub fn defaults(&self) -> Result<Defaults> {
        Ok(self.profile()?.unwrap_or_default().submit)
    }

    /// The profile that is named, or the file's own choice unless a folder is named instead.
    fn profile(&self) -> Result<Option<Profile>> {
        let name = self.profile.as_deref().filter(|name| !name.is_empty());
        Profile::chosen(name, self.data.flag().is_empty())
    }

    /// Address of the farm that runs in the data folder, and what to do when it does not answer.
    fn local(&self, data: &DataDir) -> Result<(String, String)> {
        let folder = data.folder().display().to_string();
        let nothing = |reason: &str| {
            let start = format!("atelier up --detach{}", self.data.flag());
            let hint =
                format!("Start one with '{start}', or name another one's address with --url.");
            let (url, reason) = (folder.clone(), reason.to_owned());
            anyhow::Error::from(Unreachable {
                url,
                reason,
                hint,
                reached: false,
            })
        };
        match data.running()? {
            Some(info) => Ok((
                info.url,
                format!("It runs, but does not answer; see the logs in {folder}/logs."),
            )),
            None if data.runner()?.is_some() => Err(nothing("it is just starting")),
            None => Err(nothing("none runs here")),
        }
    }
}

impl DataArgs {
    /// How to name the same folder in another command: nothing for the folder that is taken anyway.
    pub fn flag(&self) -> String {
        match self.data.as_os_str() == ".atelier" {
            true => String::new(),
            false => format!(" --data {}", self.data.display()),
        }
    }
}

const AWAY: &str = "Is that address right? 'atelier up' starts a farm on this machine.";

fn address(url: &str) -> Result<String> {
    let url = url.trim_end_matches('/');
    let host = url
        .split_once("://")
        .map(|(scheme, host)| (scheme, !host.is_empty()));
    match host {
        Some(("http" | "https", true)) => Ok(url.to_owned()),
        _ => Err(Usage(format!(
            "{url}: an address looks like http://127.0.0.1:8700 or https://farm.example.org"
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (given, taken) in [
            ("http://127.0.0.1:8700/", Some("http://127.0.0.1:8700")),
            (
                "https://farm.example.org/a/",
                Some("https://farm.example.org/a"),
            ),
            ("127.0.0.1:8700", None),
            ("ftp://a", None),
            ("http://", None),
            ("", None),
        ] {
            assert_eq!(address(given).ok().as_deref(), taken, "{given}");
        }
        let place = |url: &str| Place {
            url: url.into(),
            key: None,
            hint: String::new(),
        };
        for here in [
            "http://127.0.0.1:1",
            "http://localhost",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(place(here).is_on_this_machine(), "{here}");
        }
        for there in ["http://localhost.example.org", "https://farm:1"] {
            assert!(!place(there).is_on_this_machine(), "{there}");
        }
    }
}
