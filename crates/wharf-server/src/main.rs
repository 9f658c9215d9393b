//! The `wharf` binary: command line, configuration, composition root, lifecycle, and in sandbox builds the demo page.
//! Promises one plain sentence on stderr for every failure, an exit code that tells, and stdout for asked output alone.
//! Holds no rules of sessions, messages or storage: those are the other crates'.

mod bootstrap;
mod cli;
mod cli_file;
mod client;
mod commands;
mod config;
#[cfg(feature = "sandbox")]
mod demo;
mod gate;
mod generator;
mod lifecycle;
mod logging;
mod metrics;
mod outcome;
mod output;
mod pages;
mod readiness;
mod retention;
mod server;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

/// The system's allocator keeps what a burst of logins needed, once for each thread. How soon this one gives it back
/// stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let installed = rustls::crypto::ring::default_provider().install_default();
    let cli = cli::Cli::parse();
    let environment = config::environment(std::env::vars_os());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) if installed.is_ok() => runtime,
        _ => {
            output::tell("wharf: the system gave no threads to run on");
            return outcome::Outcome::Failed.into();
        }
    };
    let ended = runtime.block_on(commands::run(cli, environment));
    // Whatever still runs was told to stop and did not: waiting longer would hide it.
    runtime.shutdown_background();
    let outcome = ended.unwrap_or_else(|error| {
        output::tell(&format!("wharf: {error:#}"));
        outcome::of(&error)
    });
    outcome.into()
}
