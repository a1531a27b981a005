//! The coordinator: accepts requests over HTTP, decides with the domain what happens next, hands jobs to workers and collects what they report.
//!
//! PostgreSQL is the truth, and several coordinators may share it: whatever is kept in memory here is only fresher, never needed.
//! `http` and `loops` call `operations`; `operations` join `store`, bus and artifacts; only `store` holds SQL.
//! Beside serving, the program makes keys and migrates the database: `command_line` and `admin`.

mod admin;
mod api_key;
mod app;
mod command_line;
mod config;
mod farm;
mod http;
mod loops;
mod metrics;
mod operations;
pub mod reading;
mod store;

use std::{ffi::OsString, process::ExitCode};

pub use operations::{pictures, retire};
pub use store::{Room, Store, StoreOptions};

/// Does what the command line says, the program's name first; returns the exit code.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let command = command_line::CommandLine::read(arguments).command;
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(command.threads())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(admin::run(command));
    // Tasks that outlived the grace period are not waited for.
    runtime.shutdown_background();
    code
}
