//! `atelier-coordinator`: hands its command line to the library, which does everything.

use std::{env, process::ExitCode};

use mimalloc::MiMalloc;

#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    atelier_coordinator::run(env::args_os().collect())
}
