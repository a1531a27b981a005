//! Exit statuses, and the errors that have one of their own.

use std::process::ExitCode;

use reqwest::StatusCode;

use crate::{client::Refused, show};

/// The request or the command failed.
pub const FAILED: u8 = 1;
/// The command line, or what it asks for, is wrong.
pub const USAGE: u8 = 2;
/// No farm could be reached.
pub const UNREACHABLE: u8 = 3;
/// The farm wants a key, or another one.
pub const KEY: u8 = 4;
/// The farm takes nothing more at the moment: the same again later may work.
pub const BUSY: u8 = 5;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// What `--help` says about all this.
pub const HELP: &str = "\
Exit status:
    0  done
    1  the request or the command failed
    2  wrong usage, or the farm calls the request wrong
    3  no farm could be reached
    4  the farm wants a key, or another one
    5  the farm takes nothing more at the moment: try again later
  130  interrupted";

/// No farm could be reached.
#[derive(Debug, thiserror::Error)]
#[error("no farm at {url} ({reason})\n{hint}")]
pub struct Unreachable {
    /// Where it was looked for.
    pub url: String,
    /// What went wrong.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// Whether somebody took the call and went away before answering.
    pub reached: bool,
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
    show::error(&format!("{error:#}"));
    ExitCode::from(status(&error))
}

/// The exit status that says what went wrong.
pub fn status(error: &anyhow::Error) -> u8 {
    if error.is::<Unreachable>() {
        UNREACHABLE
    } else if error.is::<Usage>() {
        USAGE
    } else if error.is::<Interrupted>() {
        INTERRUPTED
    } else if let Some(refused) = error.downcast_ref::<Refused>() {
        refusal(refused.status)
    } else {
        FAILED
    }
}

fn refusal(status: StatusCode) -> u8 {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => KEY,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => BUSY,
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => USAGE,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn what_went_wrong_has_a_status_even_under_context() {
        let refused = |status: u16| -> anyhow::Error {
            Refused::new(StatusCode::from_u16(status).unwrap(), "no").into()
        };
        for (http, exit) in [
            (400, USAGE),
            (401, KEY),
            (404, FAILED),
            (409, FAILED),
            (422, USAGE),
            (429, BUSY),
            (500, FAILED),
            (503, BUSY),
        ] {
            assert_eq!(status(&refused(http)), exit, "{http}");
        }
        let under: anyhow::Result<()> = Err(refused(401)).context("line 7");
        assert_eq!(status(&under.unwrap_err()), KEY);
        assert_eq!(status(&Usage("no".into()).into()), USAGE);
        assert_eq!(status(&anyhow::anyhow!("no")), FAILED);
    }
}
