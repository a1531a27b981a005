//! The `atelier` program; everything is in the library beside it.

fn main() -> std::process::ExitCode {
    atelier_cli::run()
}
