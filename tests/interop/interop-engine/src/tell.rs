//! What the client says.

use std::io::Write as _;

use serde::Serialize;

/// An answer or an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Line {
    Done { n: u64, result: Option<String> },
    Failed { n: u64, error: String },
    Event(Event),
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Qr {
        qr: String,
    },
    Open,
    Closed,
    LoggedOut,
    Message {
        id: String,
        chat: String,
        text: Option<String>,
    },
    Receipt {
        id: String,
        kind: String,
    },
    /// A piece of the past.
    History {
        messages: usize,
    },
    /// Something happened to a group.
    Group {
        jid: String,
    },
}

/// One line on standard output. Whoever reads it may have gone.
pub fn tell(line: &Line) {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(&text).and_then(|()| out.flush());
}
