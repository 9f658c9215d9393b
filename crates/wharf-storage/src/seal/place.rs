//! Where a sealed value belongs. The place is authenticated with the value, so a value moved elsewhere does not open.

use wharf_model::{EventId, MessageId, SessionId};

/// A table, the identity of a row in it, and a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    table: &'static str,
    row: Vec<u8>,
    column: &'static str,
}

impl Place {
    /// A place in a table that has no constructor of its own here. Neither name may hold a `|`.
    pub fn new(table: &'static str, row: &[u8], column: &'static str) -> Self {
        Self {
            table,
            row: row.to_vec(),
            column,
        }
    }

    /// A column of a message.
    pub fn message(id: MessageId, column: &'static str) -> Self {
        Self::new("messages", id.as_bytes(), column)
    }

    /// The data of an event.
    pub fn event(id: EventId) -> Self {
        Self::new("events", id.as_bytes(), "data")
    }

    /// A column of a session: `profile`, `metadata`, `proxy`.
    pub fn session(id: SessionId, column: &'static str) -> Self {
        Self::new("sessions", id.as_bytes(), column)
    }

    /// The value of a row of signal state.
    pub fn state(session: SessionId, kind: &str, key: &[u8]) -> Self {
        let mut row = session.as_bytes().to_vec();
        // The length keeps `("ab", "c")` apart from `("a", "bc")`.
        row.extend_from_slice(&(kind.len() as u64).to_be_bytes());
        row.extend_from_slice(kind.as_bytes());
        row.extend_from_slice(key);
        Self {
            table: "wa_state",
            row,
            column: "value",
        }
    }

    /// The associated data: the two names hold no `|`, so the first and the last one frame the row's identity.
    pub(crate) fn associated_data(&self) -> Vec<u8> {
        [self.table.as_bytes(), b"|", &self.row, b"|", self.column.as_bytes()].concat()
    }
}
