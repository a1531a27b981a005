//! `atelier-worker`: one process, one device, one model.

use std::process::ExitCode;

use atelier_platform::{Lifecycle, telemetry};
use atelier_worker::{app, config::Config};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    if let Err(error) = telemetry::logs::init(config.log_format, &config.log) {
        eprintln!("atelier-worker: {error}");
        return ExitCode::FAILURE;
    }
    let life = Lifecycle::new(config.drain());
    match app::start(config, &life).await {
        Ok(shared) => {
            let code = life.run().await;
            // The last acknowledgements are on their way.
            shared.bus.flush().await;
            code
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the worker cannot start");
            ExitCode::FAILURE
        }
    }
}
