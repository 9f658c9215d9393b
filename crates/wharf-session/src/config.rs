//! What sessions need to know before they start. The server maps its configuration to this.

use std::time::Duration;

use wharf_model::PacingPolicy;

/// Settings of actors and their supervisor.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// How many sessions may be dialling at the same time.
    pub start_concurrency: usize,
    /// The longest random pause before a session's first dial of a mass start.
    pub start_jitter: Duration,
    /// How long keys are kept after the account unlinked the device.
    pub retain_after_unlink: Duration,
    /// How long a message may be on the wire without an ack before it is sent again under the same id.
    pub ack_timeout: Duration,
    /// How long a connection may stay without a frame from the server before it counts as deaf.
    pub deaf_after: Duration,
    /// How long a connection must have been ready before the count of failed tries starts anew.
    pub stable_after: Duration,
    /// How many messages of one session may be on the wire at once.
    pub in_flight: usize,
    /// How long a session whose credentials come from elsewhere sends nothing when it is ready for the first time.
    pub import_quiet: Duration,
    /// How often the supervisor compares what should run with what runs, beside being nudged.
    pub reconcile_every: Duration,
    /// How long a graceful stop waits for the server's acks of what is on the wire.
    pub drain_timeout: Duration,
    /// Whether what people do with sessions is written to the audit log.
    pub audited: bool,
    /// How old what is known of an account's picture and "about" text may be at a login; `None`: nobody asks for them.
    pub profile_stands: Option<Duration>,
    /// The pacing of sessions that are created without one.
    pub pacing: PacingPolicy,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            start_concurrency: 8,
            start_jitter: Duration::from_millis(500),
            retain_after_unlink: Duration::from_secs(24 * 60 * 60),
            ack_timeout: Duration::from_secs(30),
            deaf_after: Duration::from_secs(60),
            stable_after: Duration::from_secs(30),
            in_flight: 16,
            import_quiet: Duration::from_secs(10),
            reconcile_every: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
            audited: true,
            profile_stands: Some(Duration::from_secs(24 * 60 * 60)),
            pacing: PacingPolicy::default(),
        }
    }
}
