//! The sandbox as a program: prints where it listens as one JSON line, then runs until it is told to stop.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use wharf_sandbox::{Sandbox, SandboxConfig, StoreConfig};

/// A simulated WhatsApp network on loopback.
#[derive(Debug, Parser)]
#[command(name = "wharf-sandbox", version)]
struct Arguments {
    /// Port of the chat server; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    chat_port: u16,
    /// Port of the control API; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// Clients connect by TLS; the certificate is made at the start and signed by nobody.
    #[arg(long)]
    tls: bool,
    /// File that keeps the network; without it a stop forgets everything.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Keeps up to this many observations of stanzas, decryptions and connections for `/sandbox/api/stanzas`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    stanza_log: usize,
    /// How many companions one account may have.
    #[arg(long, default_value_t = SandboxConfig::default().companions, value_name = "N")]
    companions: usize,
    /// Makes keys and identifiers repeat from run to run.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,wacore=off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(error = %failure, source = failure.source(), "the sandbox cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    raise_open_files();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = Sandbox::start(config(arguments)).await?;
    announce(&sandbox)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = sandbox.stopped() => {}
    }
    sandbox.stop().await;
    Ok(())
}

fn config(arguments: Arguments) -> SandboxConfig {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    SandboxConfig {
        chat_listen: loopback(arguments.chat_port),
        control_listen: Some(loopback(arguments.control_port)),
        tls: arguments.tls,
        store: arguments.data.map_or(StoreConfig::Memory, StoreConfig::File),
        stanza_log: arguments.stanza_log,
        companions: arguments.companions,
        seed: arguments.seed,
        ..SandboxConfig::default()
    }
}

/// The one line on standard output, for scripts that wait for it.
fn announce(sandbox: &Sandbox) -> std::io::Result<()> {
    let root: String = sandbox
        .root_public_key()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let line = serde_json::json!({
        "chat_url": sandbox.chat_url(),
        "control_url": sandbox.control_url(),
        "root_public_key": root,
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A thousand clients are a thousand sockets; many systems allow a process 1,024 files unless it asks for more.
fn raise_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    if let Err(failure) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(error = %failure, "the number of open files cannot be raised");
    }
}
