//! What can go wrong with a server, said so that the reader knows what to do.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why a server could not be found, prepared or started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A program is not where it is looked for.
    #[error("{what} not found ({looked}): run deploy/setup, or name its folder with --deps")]
    Missing {
        /// Which program.
        what: &'static str,
        /// Where it was looked for.
        looked: String,
    },
    /// The file system refused something.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be started at all.
    #[error("cannot start {name}: {source}")]
    Start {
        /// Which program.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ended when it should not have.
    #[error("{name} ended with {status}:\n{tail}")]
    Ended {
        /// Which program.
        name: String,
        /// How.
        status: ExitStatus,
        /// The last lines it wrote.
        tail: String,
    },
    /// A program did not become ready.
    #[error("{name} was not ready after {seconds} s:\n{tail}")]
    NotReady {
        /// Which program.
        name: String,
        /// How long was waited.
        seconds: u64,
        /// The last lines it wrote.
        tail: String,
    },
    /// The user that PostgreSQL runs as cannot get to its data any more.
    #[error(
        "PostgreSQL does not run as root, and the user 'nobody' cannot reach {path}: open the folders above it to others (chmod o+x), or run this as an ordinary user"
    )]
    Closed {
        /// Where the data is.
        path: PathBuf,
    },
    /// PostgreSQL refuses to run as root, and no other user is there.
    #[error(
        "PostgreSQL does not run as root, and there is no user 'nobody' to run it as: run this as an ordinary user"
    )]
    NoUnprivilegedUser,
    /// No free TCP port.
    #[error("no free port on 127.0.0.1: {0}")]
    NoPort(io::Error),
}

impl ServerError {
    /// Wraps an error of the file system: `fs::write(..).map_err(ServerError::file("write", path))`.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
