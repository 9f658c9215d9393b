//! Automation of the project: `cargo xtask tidy` proves the rules of ARCHITECTURE.md, `cargo xtask ci` and `test` run what
//! has to pass before a change lands, `prove-*` and `bench` run what takes longer. Never builds anything that users run.

mod ci;
mod fuzz;
mod packages;
mod proof;
mod schemathesis;
mod settle;
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
    /// Kills Wharf in the middle of its work, over and over, and checks that nothing was lost.
    ProveKill {
        #[command(flatten)]
        proof: proof::Proof,
        /// How many times, on each database.
        #[arg(long, default_value_t = 50)]
        kills: u32,
    },
    /// Kills Wharf between the steps of one-time passwords, over and over, and checks that each code works once.
    ProveOtp {
        #[command(flatten)]
        proof: proof::Proof,
        /// How many times, on each database.
        #[arg(long, default_value_t = 50)]
        kills: u32,
        /// How many people log in between two kills, at least.
        #[arg(long, default_value_t = 10)]
        visits: u32,
    },
    /// Breaks network, database, disk and clock, and checks that Wharf survives without a loss.
    ProveFaults {
        #[command(flatten)]
        proof: proof::Proof,
        /// Fewer rounds of each fault.
        #[arg(long)]
        short: bool,
    },
    /// Sends visitors through the session generator, half of whom leave without a string.
    ProveGenerator {
        #[arg(long, default_value_t = 1000)]
        attempts: u32,
    },
    /// Runs the sandbox's own tests over and over; the first failure ends it.
    ProveRepeat {
        #[arg(long, default_value_t = 20)]
        times: u32,
    },
    /// Feeds the sandbox bytes that no client would send, for a time per target.
    ProveFuzz {
        /// Per target.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
        /// Only this target.
        #[arg(long)]
        target: Option<String>,
        /// Adds inputs that reach something new to the corpus in the repository.
        #[arg(long)]
        keep: bool,
    },
    /// Measures memory and speed beside a minimal Baileys program, and writes docs/benchmarks.md.
    Bench {
        /// Passed on: `--quick`, `--only a,c`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Tidy => tidy::run(),
        Task::Ci => ci::run(),
        Task::Test => test::run(),
        Task::ProveKill { proof, kills } => proof::kill(&proof, kills),
        Task::ProveOtp { proof, kills, visits } => proof::otp(&proof, kills, visits),
        Task::ProveFaults { proof, short } => proof::faults(&proof, short),
        Task::ProveGenerator { attempts } => proof::generator(attempts, "release"),
        Task::ProveRepeat { times } => test::repeat(times),
        Task::ProveFuzz { seconds, target, keep } => fuzz::run(seconds, target.as_deref(), keep),
        Task::Bench { arguments } => proof::bench(&arguments),
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
