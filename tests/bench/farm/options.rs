//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// How many requests a second the farm does, at which processor time, and how long one takes: a plan, two renders, a blend and a critique on the
/// engine's test double, everything on this machine, beside the floors of the same machine
#[derive(Clone, Debug, Parser)]
#[command(name = "deploy/test bench farm")]
pub struct Options {
    /// Requests of one throughput run
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub requests: usize,
    /// Requests of the latency run, one at a time; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub latency: usize,
    /// Finished requests in the database beside each throughput run, fewest first
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "0,100000,1000000"
    )]
    pub finished: Vec<u64>,
    /// Requests that wait without any worker while the coordinator's memory is looked at; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub waiting: usize,
    /// Leaves out the floors, when it is the farm that is looked at
    #[arg(long)]
    pub no_floors: bool,
    /// File for the numbers as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
