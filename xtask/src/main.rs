//! Automation of the project: `cargo xtask tidy` proves the rules of ARCHITECTURE.md, `cargo xtask ci` runs what has to
//! pass before a change lands. Never builds anything that users run.

mod ci;
mod packages;
mod schemathesis;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Automation of the Wharf project")]
enum Task {
    /// Checks the arrows between crates, where libraries are named, file sizes and names.
    Tidy,
    /// Formatting, tidy, lints of both feature graphs, documentation.
    Ci,
    /// Every test; installs the Debian packages that are missing.
    Test,
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Tidy => tidy::run(),
        Task::Ci => ci::run(),
        Task::Test => test::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the person at the terminal.
#[expect(clippy::print_stderr, reason = "a command line tool speaks on stderr")]
fn report(text: &str) {
    eprintln!("{text}");
}
