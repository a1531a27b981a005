//! The command line of the suite.

use std::path::PathBuf;

use clap::Parser;

/// Brings a farm under load from one version to another, one program after the other.
#[derive(Clone, Debug, Parser)]
#[command(name = "deploy/test rolling")]
pub struct Options {
    /// Folder with the programs of the version that the farm comes from (atelier-coordinator, atelier-worker); without it, this one's
    #[arg(long, value_name = "FOLDER")]
    pub old: Option<PathBuf>,

    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub rate: u32,

    /// Seconds of calm before and after
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub phase_s: u64,

    /// File that gets the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
