//! The command line of the suite.

use std::path::PathBuf;

use clap::Parser;

use crate::schedule::Kind;

/// Faults that a run without options injects.
const FAULTS: u32 = 66;
/// Requests of such a run.
const REQUESTS: u32 = 1_000;

/// Kills, hangs, cuts and wipes what a farm consists of while requests come in, then checks from outside that every promise was kept.
#[derive(Clone, Debug, Parser)]
#[command(name = "deploy/test chaos")]
pub struct Options {
    /// Requests, faults and their times follow from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Faults to inject
    #[arg(long, value_name = "N", default_value_t = FAULTS)]
    pub faults: u32,

    /// Requests that must be acknowledged
    #[arg(long, value_name = "N", default_value_t = REQUESTS)]
    pub requests: u32,

    /// File that gets the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Draw only these kinds of faults, separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub only: Vec<Kind>,

    /// Print the schedule and end
    #[arg(long)]
    pub schedule: bool,

    /// Seconds that everything may take to settle after the last fault
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub settle_s: u64,

    /// Negative control: leases of one hour, so that nothing that is lost is ever found again; the suite must then fail
    #[arg(long)]
    pub without_reconcile: bool,

    /// Keep the folder of the run, logs and all, also when everything went well
    #[arg(long)]
    pub keep: bool,
}

impl Options {
    /// Whether this run is at least what one without options is, so that whatever is to happen in one happens.
    pub fn is_whole(&self) -> bool {
        self.faults >= FAULTS && self.requests >= REQUESTS && self.only.is_empty()
    }
}
