//! Tables for people, JSON or YAML for programs: the same choice in every command that prints a result.

use anyhow::Result;
use clap::ValueEnum;

use super::yaml;

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
    /// The same as YAML
    Yaml,
}

impl OutputArgs {
    /// Whether a program reads the result.
    pub fn is_json(self) -> bool {
        self.json || self.output != Output::Table
    }

    /// Whether that shall be YAML.
    pub fn is_yaml(self) -> bool {
        self.output == Output::Yaml
    }

    /// Prints one document in the format that was chosen; JSON where that is the table.
    pub fn print(self, value: &impl serde::Serialize) -> Result<()> {
        match self.output {
            Output::Yaml => {
                super::print_raw(yaml::document(&serde_json::to_value(value)?).as_bytes())?;
            }
            Output::Json | Output::Table => json(value)?,
        }
        Ok(())
    }
}

/// Prints one JSON document.
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    super::print_raw((serde_json::to_string_pretty(value)? + "\n").as_bytes())?;
    Ok(())
}
