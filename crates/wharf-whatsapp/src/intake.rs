//! Counts the messages that are between the socket and their row. The engine decrypts a message, which moves the
//! ratchet on, before it stores the message's row; a ratchet that is written while a message is in between makes that
//! message, when it is delivered again, a duplicate that nobody has.
//!
//! Promises: while a connection ends, [`Intake::may_flush`] says yes only when nothing is in between. The engine sees
//! to that itself while it works off what waited, one message at a time, but not after. And [`Intake::is_ahead`] says
//! yes whenever a ratchet in memory may be ahead of its row because of what came in.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use wacore_binary::NodeRef;

/// How long the end of a connection waits for messages in between. They need milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long what goes out waits for the rows of what came in, so that no ratchet is stored over their heads.
const ROWS_FIRST: Duration = Duration::from_millis(50);

/// A message that has not left by now carried nothing but keys: its ratchet moved long ago.
const DECRYPTED: Duration = Duration::from_secs(5);

/// Beyond this the oldest are forgotten: a stanza that carries nothing but keys leaves without a word.
const MOST: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    state: Mutex<State>,
    /// Changes when a message leaves.
    left: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// What waited at the server is worked off.
    live: bool,
    closing: bool,
    /// A wait was in vain: the next one of this end would be as well.
    stuck: bool,
    /// Ratchets moved on since they were last stored.
    moved: bool,
    inside: VecDeque<Inside>,
}

#[derive(Debug)]
struct Inside {
    lane: String,
    id: String,
    since: Instant,
}

impl Intake {
    /// A new connection begins.
    pub(crate) fn open(&self) {
        *self.lock() = State::default();
    }

    /// What waited at the server is worked off; from now on the engine handles messages side by side.
    pub(crate) fn live(&self) {
        self.lock().live = true;
    }

    /// The connection ends: ratchets are written with care from now on.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
    }

    /// A stanza came; of interest is a message with a ciphertext.
    pub(crate) fn arrived(&self, node: &NodeRef<'_>) {
        if node.tag != "message" || !is_sealed(node) {
            return;
        }
        let (Some(from), Some(id)) = (node.attrs().optional_jid("from"), node.attrs().optional_string("id")) else {
            return;
        };
        let mut state = self.lock();
        if state.inside.len() == MOST {
            state.inside.pop_front();
        }
        state.inside.push_back(Inside {
            lane: from.to_non_ad().to_string(),
            id: id.into_owned(),
            since: Instant::now(),
        });
    }

    /// A message has its row, or will never have one. Messages of a chat go one after the other: those before it have
    /// left as well.
    pub(crate) fn left(&self, id: &str) {
        let mut state = self.lock();
        let Some(place) = state.inside.iter().position(|inside| inside.id == id) else {
            return;
        };
        let lane = state.inside[place].lane.clone();
        let mut at = 0;
        state.inside.retain(|inside| {
            at += 1;
            at > place + 1 || inside.lane != lane
        });
        state.moved = true;
        drop(state);
        self.left.send_replace(());
    }

    /// Whether the ratchets may be written now. At the end of a connection this waits a moment for messages in between.
    pub(crate) async fn may_flush(&self) -> bool {
        let mut left = self.left.subscribe();
        let quiet = async {
            while !self.is_quiet() {
                // The sender is ours.
                let _ = left.changed().await;
            }
        };
        if self.lock().stuck {
            return self.is_quiet();
        }
        let waited = tokio::time::timeout(PATIENCE, quiet).await.is_ok();
        if !waited {
            self.lock().stuck = true;
        }
        waited
    }

    /// Whether ratchets must be stored before anything goes out. A message that comes in can replace the chain that the
    /// next one goes out on; if that chain is lost with the process, the other side never understands us again.
    /// Whoever gets a yes stores them, or says [`Intake::still_ahead`].
    pub(crate) async fn is_ahead(&self) -> bool {
        if !self.lock().is_ahead(Instant::now()) {
            return false;
        }
        let mut left = self.left.subscribe();
        loop {
            let due = self.lock().rows_due(Instant::now());
            let Some(until) = due else { break };
            // The sender is ours.
            let _ = tokio::time::timeout_at(until, left.changed()).await;
        }
        self.lock().moved = false;
        true
    }

    /// The ratchets could not be stored.
    pub(crate) fn still_ahead(&self) {
        self.lock().moved = true;
    }

    fn is_quiet(&self) -> bool {
        let state = self.lock();
        !(state.closing && state.live) || state.inside.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_ahead(&self, now: Instant) -> bool {
        let undecrypted = |inside: &Inside| now.duration_since(inside.since) < DECRYPTED;
        // What waited at the server is stored by the engine itself, rows and ratchets together.
        self.live && (self.moved || self.inside.iter().any(undecrypted))
    }

    /// Until when rows are waited for, if for any.
    fn rows_due(&self, now: Instant) -> Option<Instant> {
        let due = self.inside.iter().map(|inside| inside.since + ROWS_FIRST);
        due.filter(|due| *due > now).max()
    }
}

fn is_sealed(node: &NodeRef<'_>) -> bool {
    let children = node.children().unwrap_or_default();
    children
        .iter()
        .any(|child| child.tag == "enc" || child.tag == "participants")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wacore_binary::builder::NodeBuilder;

    fn arrive(intake: &Intake, from: &'static str, id: &'static str) {
        let message = NodeBuilder::new("message")
            .attr("from", from)
            .attr("id", id)
            .children([NodeBuilder::new("enc").build()])
            .build();
        intake.arrived(&message.as_node_ref());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_the_message_in_between() {
        let intake = Arc::new(Intake::default());
        intake.open();
        intake.live();
        arrive(&intake, "15550000001:2@s.whatsapp.net", "A");
        assert!(intake.may_flush().await, "a connection that goes on waits for nothing");
        intake.close();
        let ending = tokio::spawn({
            let intake = Arc::clone(&intake);
            async move { intake.may_flush().await }
        });
        tokio::task::yield_now().await;
        assert!(!ending.is_finished());
        intake.left("A");
        assert!(ending.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stays_forbids_the_writing_once_and_for_all() {
        let intake = Intake::default();
        intake.live();
        intake.close();
        arrive(&intake, "15550000001@s.whatsapp.net", "A");
        let began = tokio::time::Instant::now();
        assert!(!intake.may_flush().await);
        assert!(!intake.may_flush().await);
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn a_message_that_left_takes_those_before_it_along_in_its_chat_only() {
        let intake = Intake::default();
        intake.live();
        intake.close();
        arrive(&intake, "15550000001:1@s.whatsapp.net", "A");
        arrive(&intake, "15550000002@s.whatsapp.net", "B");
        arrive(&intake, "15550000001:2@s.whatsapp.net", "C");
        arrive(&intake, "15550000001@s.whatsapp.net", "D");
        intake.left("C");
        let waiting: Vec<_> = intake.lock().inside.iter().map(|inside| inside.id.clone()).collect();
        assert_eq!(waiting, ["B", "D"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_out_waits_for_the_ratchets_of_what_came_in() {
        let intake = Arc::new(Intake::default());
        intake.live();
        assert!(!intake.is_ahead().await);
        arrive(&intake, "15550000001@s.whatsapp.net", "A");
        let began = Instant::now();
        let asking = tokio::spawn({
            let intake = Arc::clone(&intake);
            async move { intake.is_ahead().await }
        });
        tokio::task::yield_now().await;
        intake.left("A");
        assert!(
            asking.await.unwrap() && began.elapsed() < ROWS_FIRST,
            "the row came first"
        );
        assert!(!intake.is_ahead().await, "it was stored");
        intake.still_ahead();
        assert!(intake.is_ahead().await, "it was not");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_never_leaves_is_stored_with_all_that_goes_out_for_a_while() {
        let intake = Intake::default();
        intake.live();
        arrive(&intake, "15550000001@s.whatsapp.net", "A");
        let began = Instant::now();
        assert!(intake.is_ahead().await && intake.is_ahead().await);
        assert_eq!(began.elapsed(), ROWS_FIRST);
        tokio::time::advance(DECRYPTED).await;
        assert!(!intake.is_ahead().await);
    }

    #[tokio::test]
    async fn the_backlog_is_the_engines_own_affair() {
        let intake = Intake::default();
        arrive(&intake, "15550000001@s.whatsapp.net", "A");
        intake.close();
        assert!(intake.may_flush().await);
    }
}
