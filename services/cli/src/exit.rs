//! Exit statuses, and the errors that have one of their own.

use std::process::ExitCode;

/// The request or the command failed.
pub const FAILED: u8 = 1;
/// The command line is wrong in a way that only shows when it is carried out.
pub const USAGE: u8 = 2;
/// No farm could be reached.
pub const UNREACHABLE: u8 = 3;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// No farm could be reached.
#[derive(Debug, thiserror::Error)]
#[error("no farm at {server} ({reason})\n{hint}")]
pub struct Unreachable {
    /// Where it was looked for.
    pub server: String,
    /// What went wrong.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// What was asked for makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The user pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted{0}")]
pub struct Interrupted(pub String);

/// The exit status of a command's result; an error is told on stderr.
pub fn code(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    eprintln!("error: {}", crate::show::multiline(&format!("{error:#}")));
    ExitCode::from(status(&error))
}

fn status(error: &anyhow::Error) -> u8 {
    if error.is::<Unreachable>() {
        UNREACHABLE
    } else if error.is::<Usage>() {
        USAGE
    } else if error.is::<Interrupted>() {
        INTERRUPTED
    } else {
        FAILED
    }
}
