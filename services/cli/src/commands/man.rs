//! `atelier man`: manual pages.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;

use crate::show;

/// Write the manual pages
///
/// To read it: atelier man | man -l -
/// To install: atelier man --out ~/.local/share/man/man1
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder that gets a page for each command; without it, the first page goes to stdout
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes the pages of command line `C`.
pub fn run<C: CommandFactory>(args: &Args) -> Result<ExitCode> {
    let mut command = C::command();
    // Fills in what commands have from each other.
    command.build();
    let Some(folder) = &args.out else {
        show::print_raw(&page(command)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut waiting = vec![command];
    let mut pages = 0;
    while let Some(command) = waiting.pop() {
        // Help about help is in every page.
        let below = command
            .get_subcommands()
            .filter(|below| below.get_name() != "help");
        waiting.extend(below.cloned());
        let name = name(&command);
        let file = folder.join(format!("{name}.1"));
        let text = page(command)?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        pages += 1;
    }
    show::print(&format!("{pages} pages in {}\n", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// As in `atelier-key-create`.
fn name(command: &clap::Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    name.to_owned()
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let title = name(&command);
    Man::new(command).title(title).render(&mut text)?;
    Ok(text)
}
