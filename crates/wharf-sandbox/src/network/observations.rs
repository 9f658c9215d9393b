//! The stanza log: a bounded ring of observations. Switched off it costs one comparison and builds nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::unix_millis;
use crate::observation::{Observation, Observed, StanzaExcerpt};

#[derive(Debug)]
pub(crate) struct ObservationLog {
    /// How many observations are kept; 0 switches the log off.
    capacity: usize,
    ring: Mutex<Ring>,
    /// Notified after every observation.
    pub grown: Notify,
}

/// The entries have consecutive numbers, the last one `next - 1`.
#[derive(Debug)]
struct Ring {
    entries: VecDeque<Arc<Observation>>,
    next: u64,
}

impl ObservationLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ring: Mutex::new(Ring {
                entries: VecDeque::new(),
                next: 1,
            }),
            grown: Notify::new(),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Adds an observation and returns its number. The closure is not called when the log is off.
    pub(crate) fn record(&self, what: impl FnOnce() -> Observed) -> Option<u64> {
        if !self.is_on() {
            return None;
        }
        let what = what();
        let seq = {
            let mut ring = self.lock();
            let seq = ring.next;
            ring.next += 1;
            if ring.entries.len() == self.capacity {
                ring.entries.pop_front();
            }
            // Inside the lock, so that times grow with the numbers.
            let at = unix_millis();
            ring.entries.push_back(Arc::new(Observation { seq, at, what }));
            seq
        };
        self.grown.notify_waiters();
        Some(seq)
    }

    /// What came after a number, at most `limit`; `None` when the log is off.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Option<StanzaExcerpt> {
        if !self.is_on() {
            return None;
        }
        let ring = self.lock();
        let first = ring.entries.front().map_or(ring.next, |entry| entry.seq);
        // Somebody who knows a later number than the last one met an earlier start of the sandbox.
        let foreign = after >= ring.next;
        let from = if foreign { first } else { first.max(after + 1) };
        let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
        Some(StanzaExcerpt {
            missed: foreign || from > after + 1,
            observations: ring.entries.iter().skip(skip).take(limit).cloned().collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Closed;

    fn filled(capacity: usize, count: u64) -> ObservationLog {
        let log = ObservationLog::new(capacity);
        for connection in 1..=count {
            log.record(|| {
                Observed::Closed(Closed {
                    connection,
                    phone: None,
                    device: None,
                    reason: String::new(),
                })
            });
        }
        log
    }

    fn read(log: &ObservationLog, after: u64, limit: usize) -> (bool, Vec<u64>) {
        let excerpt = log.after(after, limit).unwrap();
        (
            excerpt.missed,
            excerpt.observations.iter().map(|seen| seen.seq).collect(),
        )
    }

    #[test]
    fn a_reader_gets_everything_page_by_page() {
        let log = filled(9, 5);
        assert_eq!(read(&log, 0, 2), (false, vec![1, 2]));
        assert_eq!(read(&log, 2, 9), (false, vec![3, 4, 5]));
        assert_eq!(read(&log, 5, 9), (false, vec![]));
    }

    #[test]
    fn a_gap_is_told() {
        let log = filled(3, 5);
        assert_eq!(read(&log, 0, 9), (true, vec![3, 4, 5]));
        assert_eq!(read(&log, 1, 9), (true, vec![3, 4, 5]));
        assert_eq!(read(&log, 2, 9), (false, vec![3, 4, 5]));
    }

    #[test]
    fn a_number_of_an_earlier_start_is_a_gap() {
        let log = filled(3, 2);
        assert_eq!(read(&log, 7, 9), (true, vec![1, 2]));
        assert_eq!(read(&filled(3, 0), 7, 9), (true, vec![]));
    }

    #[test]
    fn a_log_that_is_off_builds_nothing() {
        let log = ObservationLog::new(0);
        assert!(log.record(|| unreachable!("built although the log is off")).is_none());
        assert!(log.after(0, 1).is_none());
    }
}
