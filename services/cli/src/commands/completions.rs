//! `atelier completions`: for the shell's completion of this command.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print completions for a shell
///
/// For bash: atelier completions bash > ~/.local/share/bash-completion/completions/atelier
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Which shell.
    shell: Shell,
}

/// Prints the completions of command line `C`.
pub fn run<C: CommandFactory>(args: &Args) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "atelier", &mut script);
    crate::show::print_raw(&script)?;
    Ok(ExitCode::SUCCESS)
}
