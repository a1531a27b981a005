//! `atelier-worker`: one process, one device, one model.

mod spin;

use std::{process::ExitCode, time::Duration};

use atelier_platform::{Lifecycle, telemetry};
use atelier_worker::{app, config::Config, trial};
use clap::Parser;
use mimalloc::MiMalloc;

/// Of the Rust side; libtorch has its own.
#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

/// How long the last spans may take once everything else is over.
const LAST_SPANS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    spin::rest();
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "try") {
        return trial::run(arguments);
    }
    // One thread: beside the device, which has its own, there is little to do, and every thread more would be one to wake up.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(work(Config::parse())),
        Err(error) => {
            eprintln!("atelier-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(config: Config) -> ExitCode {
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
            shared.spans.close(LAST_SPANS).await;
            code
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the worker cannot start");
            ExitCode::FAILURE
        }
    }
}
