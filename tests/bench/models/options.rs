//! What the command line says.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shapes::{CONFIGURATIONS, Part};

/// What was asked for.
pub struct Options {
    pub configurations: Vec<String>,
    pub device: String,
    pub python: Option<PathBuf>,
    pub calls: usize,
    pub threads: Option<usize>,
    pub json: Option<PathBuf>,
    /// Networks that are measured.
    pub parts: Vec<Part>,
    /// Measure the shipped planner's drafts instead.
    pub planner: bool,
}

impl Options {
    /// From the command line.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            configurations: vec!["tiny".into()],
            device: "auto".into(),
            python: None,
            calls: 15,
            threads: None,
            json: None,
            parts: Part::ALL.to_vec(),
            planner: false,
        };
        while let Some(flag) = arguments.next() {
            let value = arguments
                .next()
                .with_context(|| format!("{flag} needs a value"))?;
            let number = || value.parse().with_context(|| format!("{flag} {value}"));
            match flag.as_str() {
                "--configuration" => {
                    options.configurations = value.split(',').map(str::to_owned).collect();
                }
                "--device" => options.device = value,
                "--python" => options.python = Some(value.into()),
                "--calls" => options.calls = number()?,
                "--threads" => options.threads = Some(number()?),
                "--only" if value == "planner" => options.planner = true,
                "--only" => options.parts = parts(&value)?,
                "--json" => options.json = Some(value.into()),
                _ => bail!(
                    "unknown option {flag} {value}; there are --only planner|{}, --configuration {}, --device NAME, --python PYTHON, --calls N, --threads N, --json FILE",
                    Part::ALL.map(Part::name).join(","),
                    CONFIGURATIONS.join(",")
                ),
            }
        }
        if options.calls == 0 {
            bail!("--calls must be at least 1");
        }
        Ok(options)
    }
}

fn parts(value: &str) -> Result<Vec<Part>> {
    let part = |name: &str| {
        let found = Part::ALL.into_iter().find(|part| part.name() == name);
        found.with_context(|| {
            format!(
                "--only {name}: there are planner and {}",
                Part::ALL.map(Part::name).join(", ")
            )
        })
    };
    value.split(',').map(part).collect()
}
