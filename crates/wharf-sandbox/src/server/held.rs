//! Stanzas that a fault holds back, in the order in which they are due. What is still held when the connection ends
//! is lost with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use wacore_binary::OwnedNodeRef;

use super::tap::Tap;
use crate::observation::Direction;

/// A stanza that a rule holds back.
pub(super) struct Late {
    pub node: OwnedNodeRef,
    /// As it goes into a frame; empty for what came from a client.
    pub encoded: Bytes,
    pub rule: u64,
}

/// How long a stanza waits for another one to overtake it.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(5);

/// What one direction of a connection holds back.
pub(super) struct HeldBack {
    held: Held<Late>,
    /// Until another stanza has passed.
    overtaken: Held<Late>,
    direction: Direction,
    tap: Arc<Tap>,
}

impl HeldBack {
    pub(super) fn new(direction: Direction, tap: Arc<Tap>) -> Self {
        Self {
            held: Held::new(),
            overtaken: Held::new(),
            direction,
            tap,
        }
    }

    pub(super) fn push(&mut self, delay: Duration, late: Late) {
        self.held.push(delay, late);
    }

    pub(super) fn push_overtaken(&mut self, late: Late) {
        self.overtaken.push(OVERTAKEN_WITHIN, late);
    }

    /// Whether a stanza waits to be overtaken: then the next one does it, whatever its own rule says.
    pub(super) fn waits(&self) -> bool {
        !self.overtaken.is_empty()
    }

    /// A stanza passed; what it was to overtake is due.
    pub(super) fn passed(&mut self) {
        for late in self.overtaken.take_all() {
            self.held.push(Duration::ZERO, late);
        }
    }

    pub(super) fn pop_due(&mut self) -> Option<Late> {
        self.held.pop_due().or_else(|| self.overtaken.pop_due())
    }

    pub(super) async fn due(&self) {
        tokio::select! {
            () = self.held.due() => {}
            () = self.overtaken.due() => {}
        }
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        for late in self.held.take_all().chain(self.overtaken.take_all()) {
            self.tap.lost(self.direction, late.node.get(), late.rule);
        }
    }
}

#[derive(Debug)]
struct Held<T> {
    waiting: BTreeMap<(Instant, u64), T>,
    next: u64,
}

impl<T> Held<T> {
    fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            next: 0,
        }
    }

    fn push(&mut self, delay: Duration, item: T) {
        self.waiting.insert((Instant::now() + delay, self.next), item);
        self.next += 1;
    }

    fn pop_due(&mut self) -> Option<T> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    /// Returns when something is due; never, if nothing is held.
    async fn due(&self) {
        match self.waiting.first_key_value() {
            Some((&(at, _), _)) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.waiting).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_due_comes_out_in_order() {
        let mut held = Held::new();
        for (delay, item) in [(20, 'c'), (10, 'a'), (10, 'b')] {
            held.push(Duration::from_millis(delay), item);
        }
        assert_eq!(held.pop_due(), None);
        held.due().await;
        assert_eq!(
            (held.pop_due(), held.pop_due(), held.pop_due()),
            (Some('a'), Some('b'), None)
        );
        assert_eq!(held.take_all().collect::<Vec<_>>(), ['c']);
    }
}
