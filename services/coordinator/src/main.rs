//! `atelier-coordinator`: reads its command line, starts the coordinator, waits for its end.

use std::process::ExitCode;

use atelier_coordinator::{app, config::Config};
use clap::Parser;

fn main() -> ExitCode {
    let config = Config::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(app::run(config));
    // Tasks that outlived the grace period are not waited for.
    runtime.shutdown_background();
    code
}
