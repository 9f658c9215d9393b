//! Watches one client's runs: collects what the socket, the engine's events and the backend say about the connection,
//! so that [`crate::close_reasons`] can name one reason at the end, and is the one gate that events leave through.
//! Promises: nothing leaves outside a run, `Closed` leaves once and last, `LoggedIn` before `Opened`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use wharf_model::{Clock, CloseReason};
use wharf_session::port::ClientEvent;
use whatsapp_rust::Client;

use crate::intake::Intake;
use crate::transport::DialError;

/// How long ratchets may take to be stored before something goes out. The engine's own way to store them may wait for
/// what waits for this frame; a new connection is better than none.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// No frame has come yet.
const NEVER: i64 = i64::MIN;

/// A reason and what the log may know beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reason: CloseReason,
    pub(crate) detail: Option<String>,
}

impl Verdict {
    pub(crate) const fn plain(reason: CloseReason) -> Self {
        Self { reason, detail: None }
    }

    pub(crate) fn with(reason: CloseReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: Some(detail.into()),
        }
    }
}

/// What was seen of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observations {
    /// A write of protocol state failed.
    pub(crate) poisoned: bool,
    /// An operator asked for the logout.
    pub(crate) logout_requested: bool,
    /// The client was told to end.
    pub(crate) shutdown: bool,
    /// What the engine said in so many words; the first one counts.
    pub(crate) verdict: Option<Verdict>,
    /// The code of a `stream:error` that the engine tells nobody about.
    pub(crate) stream_error: Option<u16>,
    /// Dialling failed.
    pub(crate) dial: Option<Verdict>,
    /// The socket was open.
    pub(crate) dialled: bool,
    /// Messages written to the socket.
    pub(crate) sent: u64,
    /// Messages read from the socket.
    pub(crate) received: u64,
    /// The handshake was tried a second time to learn why the first one failed.
    pub(crate) handshake: Option<Verdict>,
    /// How the socket ended, when the server ended it.
    pub(crate) disconnected: Option<Verdict>,
    /// The account linked us in this run.
    pub(crate) linked: bool,
    /// The engine closed the socket.
    pub(crate) hung_up: bool,
}

impl Observations {
    /// The server answered the engine's hello and the engine then said no more: it did not like the answer.
    pub(crate) const fn handshake_was_refused(&self) -> bool {
        self.dialled && self.hung_up && self.sent <= 1 && self.received > 0 && self.verdict.is_none()
    }
}

/// Nothing may go out: what it was sealed with would be lost with the process.
#[derive(Debug, thiserror::Error)]
#[error("the ratchets could not be stored before the message went out")]
pub(crate) struct NotStored;

#[derive(Debug, Default)]
struct State {
    /// Counts the runs that began.
    number: u64,
    running: bool,
    ended: bool,
    logged_in: bool,
    seen: Observations,
}

/// See the module.
pub(crate) struct RunWatch {
    clock: Arc<dyn Clock>,
    events: mpsc::UnboundedSender<ClientEvent>,
    last_frame: AtomicI64,
    /// Messages on their way from the socket to their rows.
    pub(crate) intake: Arc<Intake>,
    /// The engine that holds the ratchets.
    engine: Mutex<Weak<Client>>,
    /// The run is to end.
    stop: watch::Sender<bool>,
    /// A message could not be committed in this run.
    refused: watch::Sender<bool>,
    /// Counts runs that ended.
    over: watch::Sender<u64>,
    state: Mutex<State>,
}

impl RunWatch {
    pub(crate) fn new(clock: Arc<dyn Clock>, events: mpsc::UnboundedSender<ClientEvent>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            events,
            last_frame: AtomicI64::new(NEVER),
            intake: Arc::default(),
            engine: Mutex::default(),
            stop: watch::Sender::new(false),
            refused: watch::Sender::new(false),
            over: watch::Sender::new(0),
            state: Mutex::default(),
        })
    }

    /// From now on this engine holds the ratchets.
    pub(crate) fn attach(&self, engine: &Arc<Client>) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(engine);
    }

    /// The engine of these runs, while it lives.
    pub(crate) fn engine(&self) -> Option<Arc<Client>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Sees to it that no ratchet that something was sealed with is in memory alone when that goes out. The engine
    /// does so for counters only, and stores a chain that is new because of a message that came in some time later.
    pub(crate) async fn before_the_wire(&self) -> Result<(), NotStored> {
        if !self.intake.is_ahead().await {
            return Ok(());
        }
        let Some(engine) = self.engine() else { return Ok(()) };
        let stored = tokio::time::timeout(STORED_WITHIN, engine.flush_pending_signal_state()).await;
        if matches!(stored, Ok(Ok(()))) {
            return Ok(());
        }
        self.intake.still_ahead();
        // A device that logs out has no use for its ratchets, and has to say so. Whatever else is not said comes up again
        // on the next connection.
        if self.seen().logout_requested {
            Ok(())
        } else {
            Err(NotStored)
        }
    }

    /// Opens the gate for a run. `false` when the client has ended for good.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        let shutdown = state.ended;
        *state = State {
            number: state.number + 1,
            running: true,
            ended: shutdown,
            ..State::default()
        };
        state.seen.shutdown = shutdown;
        self.intake.open();
        self.stop.send_replace(shutdown);
        self.refused.send_replace(false);
        !shutdown
    }

    /// The present run; a connection remembers the one that it was made in.
    pub(crate) fn number(&self) -> u64 {
        self.lock().number
    }

    /// Sends `Closed` and shuts the gate.
    pub(crate) fn finish(&self, verdict: Verdict) {
        let mut state = self.lock();
        self.deliver(ClientEvent::Closed {
            reason: verdict.reason,
            detail: verdict.detail,
        });
        state.running = false;
        drop(state);
        self.over.send_modify(|runs| *runs += 1);
    }

    /// Waits for the end of the present run; made before what it is to interrupt begins.
    pub(crate) fn run_over(&self) -> impl Future<Output = ()> + use<> {
        let mut over = self.over.subscribe();
        async move {
            // An error says that the watch itself is gone, and with it every run.
            let _ = over.changed().await;
        }
    }

    /// Sends an event, if a run goes on.
    pub(crate) fn emit(&self, event: ClientEvent) {
        let mut state = self.lock();
        if !state.running {
            return;
        }
        match &event {
            ClientEvent::LoggedIn if state.logged_in => return,
            ClientEvent::Opened(_) if !state.logged_in => self.deliver(ClientEvent::LoggedIn),
            ClientEvent::Linked(_) => state.seen.linked = true,
            _ => {}
        }
        state.logged_in |= matches!(event, ClientEvent::LoggedIn | ClientEvent::Opened(_));
        self.deliver(event);
    }

    fn deliver(&self, event: ClientEvent) {
        metrics::counter!("wharf_client_events_total").increment(1);
        // The actor that listened is gone; the supervisor drops this client next.
        let _ = self.events.send(event);
    }

    /// The client ends for good.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.seen.shutdown = true;
        drop(state);
        self.stop();
    }

    /// The run is to end: dials are given up, and nothing new is begun.
    pub(crate) fn stop(&self) {
        self.intake.close();
        self.stop.send_replace(true);
    }

    /// Waits until the run is to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // An error says that the watch itself is gone, and with it every run.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// A message could not be committed. It comes again on the next connection only.
    pub(crate) fn refused(&self) {
        self.refused.send_replace(true);
    }

    /// Waits until a message could not be committed.
    pub(crate) async fn refusal(&self) {
        // The sender is ours.
        let _ = self.refused.subscribe().wait_for(|refused| *refused).await;
    }

    /// The run ends so that messages are delivered again.
    pub(crate) fn conclude_for_redelivery(&self) {
        self.conclude(if *self.refused.borrow() {
            Verdict::with(CloseReason::StorageFailed, "a message that came in could not be stored")
        } else {
            Verdict::with(CloseReason::ConnectionLost, "a message has to be delivered again")
        });
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// An operator logs out.
    pub(crate) fn request_logout(&self) {
        self.lock().seen.logout_requested = true;
        self.intake.close();
    }

    pub(crate) fn poisoned(&self) {
        self.lock().seen.poisoned = true;
        self.intake.close();
    }

    /// What the engine said; only the first word counts, what follows are its consequences.
    pub(crate) fn conclude(&self, verdict: Verdict) {
        self.lock().seen.verdict.get_or_insert(verdict);
    }

    pub(crate) fn stream_error(&self, code: u16) {
        self.lock().seen.stream_error.get_or_insert(code);
    }

    pub(crate) fn handshake(&self, verdict: Verdict) {
        self.lock().seen.handshake = Some(verdict);
    }

    pub(crate) fn disconnected(&self, verdict: Verdict) {
        self.lock().seen.disconnected.get_or_insert(verdict);
    }

    pub(crate) fn dialled(&self) {
        self.lock().seen.dialled = true;
    }

    pub(crate) fn dial_failed(&self, error: &DialError) {
        let reason = if error.is_refused() {
            CloseReason::AddressRefused
        } else if error.is_of_proxy() {
            CloseReason::ProxyFailed
        } else {
            CloseReason::ConnectionLost
        };
        self.lock().seen.dial = Some(Verdict::with(reason, error.to_string()));
    }

    pub(crate) fn message_sent(&self) {
        self.lock().seen.sent += 1;
    }

    pub(crate) fn message_received(&self) {
        self.lock().seen.received += 1;
    }

    /// The engine could read a frame. What it cannot decrypt does not count: it logs that, and goes on listening.
    pub(crate) fn frame_read(&self) {
        self.last_frame.store(self.clock.now().as_millis(), Ordering::Relaxed);
    }

    /// The server has not said a word in this run.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.lock().seen.received == 0
    }

    /// The socket of a run ended. One that is noticed when the next run has begun says nothing about that one.
    pub(crate) fn socket_ended(&self, number: u64) {
        let state = self.lock();
        if state.number == number {
            self.intake.close();
        }
    }

    /// The engine closed the socket of a run.
    pub(crate) fn engine_hung_up(&self, number: u64) {
        let mut state = self.lock();
        if state.number == number {
            state.seen.hung_up = true;
            self.intake.close();
        }
    }

    pub(crate) fn seen(&self) -> Observations {
        self.lock().seen.clone()
    }

    pub(crate) fn last_frame_age(&self) -> Option<Duration> {
        let last = self.last_frame.load(Ordering::Relaxed);
        (last != NEVER).then(|| self.clock.now().since(wharf_model::Timestamp::from_millis(last)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for RunWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunWatch")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore_binary::builder::NodeBuilder;
    use wharf_model::SystemEdges;

    #[tokio::test(start_paused = true)]
    async fn the_late_end_of_a_socket_leaves_the_next_run_alone() {
        let (events, _) = mpsc::unbounded_channel();
        let watch = RunWatch::new(Arc::new(SystemEdges), events);
        assert!(watch.begin());
        let first = watch.number();
        assert!(watch.begin());
        watch.intake.live();
        let message = NodeBuilder::new("message")
            .attr("from", "15550000001@s.whatsapp.net")
            .attr("id", "A")
            .children([NodeBuilder::new("enc").build()])
            .build();
        watch.intake.arrived(&message.as_node_ref());
        watch.socket_ended(first);
        watch.engine_hung_up(first);
        assert!(watch.intake.may_flush().await && !watch.seen().hung_up);
        watch.engine_hung_up(watch.number());
        assert!(!watch.intake.may_flush().await && watch.seen().hung_up);
    }
}
