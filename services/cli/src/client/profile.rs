//! Profiles: farms by name, with their addresses, keys and the options that one likes to submit with, in the user's configuration file.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::Deserialize;

use crate::exit::Usage;

/// Names the file, for those who want another one.
const VARIABLE: &str = "ATELIER_CONFIG";
/// Longest file that is read, in bytes.
const LONGEST: u64 = 64 << 10;
/// A profile that is at most so many typing errors away is offered instead.
const TYPING_ERRORS: usize = 3;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Which one is meant when nobody names one.
    profile: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

impl Config {
    fn chosen(
        &self,
        name: Option<&str>,
        or_default: bool,
        file: &Path,
    ) -> Result<Option<Profile>, Usage> {
        let name = match (name, &self.profile) {
            (Some(name), _) => name,
            (None, Some(name)) if or_default => name,
            (None, _) => return Ok(None),
        };
        match self.profiles.get(name) {
            Some(profile) => Ok(Some(profile.clone())),
            None => Err(unknown(name, self, file)),
        }
    }
}

/// One farm as the user knows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Address of the farm.
    pub url: Option<String>,
    /// File with the key; nobody else may be able to read it.
    key_file: Option<PathBuf>,
    /// What a submit has that does not say otherwise.
    #[serde(default)]
    pub submit: Defaults,
}

/// Options of a submit, as they are written on the command line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Defaults {
    /// `--think`
    pub think: Option<String>,
    /// `--priority`
    pub priority: Option<String>,
    /// `--steps`
    pub steps: Option<u32>,
    /// `--size`
    pub size: Option<String>,
    /// `--max-rounds`
    pub max_rounds: Option<u32>,
}

impl Profile {
    /// The profile called `name`; without a name that of the file's own choice, if `or_default`. None when there is nothing to choose from.
    pub fn chosen(name: Option<&str>, or_default: bool) -> Result<Option<Self>> {
        let Some(file) = place() else {
            return match name {
                Some(name) => Err(Usage(format!(
                    "--profile {name}: there is no home folder to look for it in"
                ))
                .into()),
                None => Ok(None),
            };
        };
        Ok(read(&file)?.chosen(name, or_default, &file)?)
    }

    /// The same from the text of the file, which is called `file` where something is wrong with it.
    pub fn parse(
        text: &str,
        name: Option<&str>,
        or_default: bool,
        file: &Path,
    ) -> Result<Option<Self>, Usage> {
        parse(text, file)?.chosen(name, or_default, file)
    }

    /// The file with its key, of which only the user may read.
    pub fn key_file(&self) -> Result<Option<PathBuf>> {
        let Some(file) = &self.key_file else {
            return Ok(None);
        };
        let file = match (file.strip_prefix("~"), env::var_os("HOME")) {
            (Ok(rest), Some(home)) => Path::new(&home).join(rest),
            _ => file.clone(),
        };
        let shown = file.display();
        let mode = fs::metadata(&file)
            .map_err(|error| Usage(format!("cannot read the key in {shown}: {error}")))?
            .mode();
        if mode & 0o077 != 0 {
            let message = format!("others may read the key in {shown}: run 'chmod 600 {shown}'");
            return Err(Usage(message).into());
        }
        Ok(Some(file))
    }
}

/// Where the configuration is, whether there is one or not.
fn place() -> Option<PathBuf> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(file) = named(VARIABLE) {
        return Some(file.into());
    }
    let folder = match named("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(named("HOME")?).join(".config"),
    };
    Some(folder.join("atelier/config.toml"))
}

/// What is in the file; one that is not there says nothing.
fn read(file: &Path) -> Result<Config> {
    let wrong = |what: String| wrong(file, &what);
    let opened = match fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => return Err(wrong(error.to_string()).into()),
    };
    let mut text = String::new();
    opened
        .take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(parse(&text, file)?)
}

fn parse(text: &str, file: &Path) -> Result<Config, Usage> {
    if text.len() as u64 > LONGEST {
        return Err(wrong(file, &format!("is longer than {LONGEST} bytes")));
    }
    toml::from_str(text).map_err(|error| wrong(file, error.to_string().trim_end()))
}

fn wrong(file: &Path, what: &str) -> Usage {
    Usage(format!("{}: {what}", file.display()))
}

/// Says which profiles there are, the nearest one first.
fn unknown(name: &str, config: &Config, file: &Path) -> Usage {
    let known: Vec<&str> = config.profiles.keys().map(String::as_str).collect();
    let shown = file.display();
    let nearest = known
        .iter()
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, _)| *distance <= TYPING_ERRORS)
        .min();
    Usage(match (nearest, &known[..]) {
        (Some((_, nearest)), _) => {
            format!("there is no profile '{name}' in {shown}; did you mean '{nearest}'?")
        }
        (None, []) => format!("there is no profile '{name}': {shown} has none"),
        (None, known) => format!(
            "there is no profile '{name}' in {shown}; there are: {}",
            known.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_strictly() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        assert!(read(&file).unwrap().profiles.is_empty());
        let good = "profile = 'work'\n[profiles.work]\nurl = 'https://farm'\nkey-file = '~/key'\n[profiles.work.submit]\nmax-rounds = 3\n";
        fs::write(&file, good).unwrap();
        let config = read(&file).unwrap();
        let work = &config.profiles["work"];
        assert_eq!(work.url.as_deref(), Some("https://farm"));
        assert_eq!(work.submit.max_rounds, Some(3));
        for bad in [
            "[profiles.work]\nkey = 'atl_x'",
            "profile = 1",
            "[profiles",
            "[profiles.a]\nsubmit = 1",
        ] {
            fs::write(&file, bad).unwrap();
            assert!(read(&file).is_err(), "{bad}");
        }
        fs::write(&file, "#".repeat(LONGEST as usize + 1)).unwrap();
        assert!(read(&file).is_err());
        let said = unknown("wrok", &config, &file).0;
        assert!(said.ends_with("did you mean 'work'?"), "{said}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let profile = Profile {
            key_file: Some(file.clone()),
            ..Profile::default()
        };
        assert!(profile.key_file().is_err());
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(
            profile
                .key_file()
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(profile.key_file().unwrap(), Some(file));
    }
}
