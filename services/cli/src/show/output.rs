//! Tables for people or JSON for programs: the same choice in every command that prints a result.

use anyhow::Result;
use clap::ValueEnum;

/// How results are printed.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// How the result is printed on stdout
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Short for --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

/// Formats of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// One JSON document, for programs; progress is not shown
    Json,
}

impl OutputArgs {
    /// Whether a program reads the result.
    pub fn is_json(self) -> bool {
        self.json || self.output == Output::Json
    }
}

/// Prints one JSON document.
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    super::print_raw((serde_json::to_string_pretty(value)? + "\n").as_bytes())?;
    Ok(())
}
