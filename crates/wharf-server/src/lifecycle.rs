//! Owns the end of the process: signals, the drain and its deadline. Promises that a stop is clean or says so by its
//! exit code, and that a second signal stops at once.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, taken over from the moment this is made.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> Result<Self> {
        let take = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
        })
    }

    /// The next signal's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// How the drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Everything ended in time.
    Clean,
    /// The deadline passed.
    Late,
    /// A second signal came.
    Interrupted,
}

/// Runs `work` to its end, the deadline or a second signal, whichever comes first. What is left then is cut off.
pub async fn drain(work: impl Future<Output = ()>, deadline: Duration, signals: &mut StopSignals) -> Drain {
    tokio::select! {
        () = work => Drain::Clean,
        () = tokio::time::sleep(deadline) => Drain::Late,
        _ = signals.next() => Drain::Interrupted,
    }
}
