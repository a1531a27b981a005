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
    let text = printable(&serde_json::to_string_pretty(value)?);
    super::print_raw((text + "\n").as_bytes())?;
    Ok(())
}

/// JSON in which no character commands a terminal: serde_json escapes those below U+0020 only. They stand in strings only, where an escape means the same.
pub fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_json_commands_a_terminal() {
        let value = serde_json::json!({ "a\u{9b}": "x\u{7f}y\u{9b}31m \u{1b}é" });
        for text in [printable(&value.to_string()), yaml::document(&value)] {
            assert!(
                !text.chars().any(|c| c.is_control() && c != '\n'),
                "{text:?}"
            );
        }
        let back: serde_json::Value = serde_json::from_str(&printable(&value.to_string())).unwrap();
        assert_eq!(back, value);
    }
}
