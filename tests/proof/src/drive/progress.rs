//! One line on the terminal that changes; a line now and then where there is no terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Recorder;

/// How often something is said where there is no terminal.
const SELDOM: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    terminal: bool,
    said: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            said: None,
        }
    }
}

impl Progress {
    /// How far the run has come.
    pub fn show(&mut self, step: &str, recorder: &Recorder) {
        let (accepted, wire, inbound) = (recorder.accepted(), recorder.wire(), recorder.inbound_count());
        self.say(&format!(
            "{step}  accepted {accepted}, on the wire {wire}, inbound {inbound}"
        ));
    }

    /// The same in other words.
    pub fn say(&mut self, words: &str) {
        let seconds = self.started.elapsed().as_secs();
        let line = format!("{seconds:>4} s  {words}");
        if self.terminal {
            tell(&format!("\r\x1b[K{line}"));
        } else if self.said.is_none_or(|said| said.elapsed() >= SELDOM) {
            self.said = Some(Instant::now());
            tell(&format!("{line}\n"));
        }
    }

    /// Ends the line.
    pub fn done(&self) {
        if self.terminal {
            tell("\r\x1b[K");
        }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A terminal that is gone is no reason to stop.
fn tell(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
