//! The engine, unchanged, as one client of the sandbox: takes commands and tells what happens, one JSON object a line.
//!
//! Owns nothing but the translation. It knows Wharf as little as any other client does: what it stores is in memory, and
//! media go through a plain HTTP client that trusts the sandbox's certificate.

mod client;
mod command;
mod http;
mod tell;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use client::Engine;
use command::Numbered;
use tell::{Line, tell};

/// The engine as a client of the sandbox.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where clients connect.
    chat_url: String,
    /// The certificate to trust for media, PEM.
    certificate: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let certificate = std::fs::read(&arguments.certificate).context("the certificate cannot be read")?;
    let mut engine = Engine::new(arguments.chat_url, http::Http::trusting(&certificate)?);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Numbered { n, command } = serde_json::from_str(&line).with_context(|| format!("no command: {line}"))?;
        match engine.obey(command).await {
            Ok(result) => tell(&Line::Done { n, result }),
            Err(failure) => tell(&Line::Failed {
                n,
                error: format!("{failure:#}"),
            }),
        }
    }
    // Whoever started this has gone.
    engine.stop().await;
    Ok(())
}
