//! How a sandbox is set up: where it listens, what it keeps, how patient it is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything `Sandbox::start` needs to know. The default is a throw-away network in memory on ephemeral ports.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where clients connect. Must be a loopback address; port 0 picks a free one.
    pub chat_listen: SocketAddr,
    /// Where the control API listens, or `None` for a sandbox driven from Rust alone. Loopback as well.
    pub control_listen: Option<SocketAddr>,
    /// What survives a stop.
    pub store: StoreConfig,
    /// Clients connect by TLS and not in plain, with a certificate that was made at the start and that nobody signed.
    /// Without it they may do either.
    pub tls: bool,
    /// How many observations the stanza log keeps; 0 switches it off.
    pub stanza_log: usize,
    /// Companions that one account may have.
    pub companions: usize,
    /// Patches of an app-state collection from which on a new companion is given one snapshot instead.
    pub snapshot_from: usize,
    /// Delays and limits in time.
    pub timing: Timing,
    /// Makes keys, identifiers and made-up numbers repeat from run to run. Never use it with anything but tests.
    pub seed: Option<u64>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            chat_listen: any_port,
            control_listen: Some(any_port),
            store: StoreConfig::Memory,
            tls: false,
            stanza_log: 0,
            companions: 4,
            snapshot_from: 500,
            timing: Timing::default(),
            seed: None,
        }
    }
}

/// Where the state of the network is kept.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// Nowhere: a stop forgets everything.
    Memory,
    /// In one SQLite file; nothing that was acknowledged is lost when the process is killed.
    File(PathBuf),
}

/// Delays the protocol forces on a server, and how long it waits for slow clients.
///
/// The first two are load-bearing for real clients; shorten them only in measurements, and report them there.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Silence after the handshake. Baileys 6 dies of an early stanza (protocol brief, section 2).
    pub first_stanza: Duration,
    /// Gap between `pair-device-sign` and the 515 (protocol brief, section 5).
    pub restart: Duration,
    /// How long a phone takes to answer a companion that links with a passkey. Without it the phone's word overtakes what
    /// the companion does with the server's answer before it: the engine has not yet kept the exchange that the phone goes
    /// on with, nor the secret that `pair-success` is to be checked with.
    pub passkey: Duration,
    /// Gap between the answer to a removal and the stream error that ends the connection.
    pub removal: Duration,
    /// How long a connection is still read after its last stanza, so that the client closes first (section 20).
    pub linger: Duration,
    /// A client must have finished TLS, the request for a WebSocket and the handshake within this time each.
    pub handshake: Duration,
    /// A client must take a written batch within this time, or it is dropped and gets its queue at the next login.
    pub write: Duration,
    /// How long a scan, or a typed code, waits for the companion's signature.
    pub scan: Duration,
    /// How long a client shows the first reference as a QR code, and each of the others.
    pub first_reference: Duration,
    pub reference: Duration,
    /// How much longer each of them can be scanned.
    pub reference_grace: Duration,
    /// How long "typing" waits for a device that is away.
    pub chat_state: Duration,
    /// How long a code that a client shows can be typed (protocol brief, section 6).
    pub code: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_stanza: Duration::from_millis(80),
            restart: Duration::from_millis(300),
            passkey: Duration::from_millis(500),
            removal: Duration::from_millis(150),
            linger: Duration::from_secs(2),
            handshake: Duration::from_secs(20),
            write: Duration::from_secs(30),
            scan: Duration::from_secs(20),
            first_reference: Duration::from_secs(60),
            reference: Duration::from_secs(20),
            reference_grace: Duration::from_secs(10),
            chat_state: Duration::from_secs(3),
            code: Duration::from_secs(180),
        }
    }
}

impl Timing {
    /// The deliberate delays between a scan and the answer to the login that follows it. The first stanza of the
    /// connection that showed the code is not among them: it came before the scan.
    pub fn scan_to_logged_in(&self) -> Duration {
        self.restart + self.first_stanza
    }
}
