//! A first look at speed: `cargo bench --package wharf-server --features sandbox --bench first_look`.
//!
//! The real binary runs in its own process on SQLite with full durability; the sandbox and the load generator share this
//! process, and both share the machine's cores with Wharf. Prints a table with what was measured.

mod load;
mod machine;
mod wharf;

use std::time::Duration;

use wharf::Wharf;
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig};

/// How long a linked session is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(15);
/// How long the accept benchmark runs.
const ACCEPTING: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 64;
const RECIPIENTS: usize = 32;
const SENDS: usize = 3000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start(SandboxConfig::default()).await?;
    let folder = tempfile::tempdir()?;
    let wharf = Wharf::start(folder.path(), &sandbox.chat_url()).await?;
    show("machine", &machine::describe(folder.path())?);
    show("memory, no session", &mib(wharf.resident_bytes()?));

    let mut sessions = vec![wharf.link(&sandbox).await?];
    idle().await;
    show("memory, 1 linked idle session", &mib(wharf.resident_bytes()?));
    while sessions.len() < 100 {
        sessions.push(wharf.link(&sandbox).await?);
    }
    idle().await;
    show("memory, 100 linked idle sessions", &mib(wharf.resident_bytes()?));

    let mut recipients = Vec::new();
    for _ in 0..RECIPIENTS {
        recipients.push(sandbox.create_phone(NewPhone::default()).await?.phone);
    }
    let sent = load::send_through_one_session(&wharf, &sessions[0], &recipients, SENDS).await?;
    show(
        "sends to server ack, one session, 16 in flight",
        &format!("{sent:.0} /s ({SENDS} messages)"),
    );

    for session in &sessions[1..17] {
        wharf.disconnect(session).await?;
    }
    let accepted = load::accept(&wharf, &sessions[1..17], &recipients, CONNECTIONS, ACCEPTING).await?;
    show("accepted messages, 64 connections", &accepted.to_string());
    Ok(())
}

/// Idle is what is measured, so this waits for time to pass and for nothing else.
async fn idle() {
    tokio::time::sleep(IDLE).await;
}

fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20)
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn show(what: &str, value: &str) {
    println!("{what:<50} {value}");
}
