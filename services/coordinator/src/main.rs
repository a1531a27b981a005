//! `atelier-coordinator`: hands its command line to the library, which does everything.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    atelier_coordinator::run(env::args_os().collect())
}
