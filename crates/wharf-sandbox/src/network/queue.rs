//! What waits for one device. A stanza stays here until the device acknowledges it, connected or not
//! (protocol brief, section 9).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::store::Ticket;

/// Beyond this a device that never comes back loses its oldest stanzas, so that it cannot fill the memory.
const MAX_QUEUED: usize = 100_000;
/// How far behind the first match a second stanza of the same id is looked for (a message sent again after a retry).
const DUPLICATE_WINDOW: usize = 32;

/// Decides which acknowledgement removes a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Message = 0,
    Receipt = 1,
    Notification = 2,
}

impl Class {
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Message,
            1 => Self::Receipt,
            _ => Self::Notification,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub sequence: u64,
    pub class: Class,
    pub id: String,
    /// The encoded node, ready for a frame.
    pub bytes: Bytes,
    /// The line of the stanza log that this was copied from.
    pub observed: Option<u64>,
    /// May be shown to the device once this is durable.
    pub after: Ticket,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: VecDeque<Queued>,
    next: u64,
    /// Entries below this sequence were handed to the live connection.
    handed_out: u64,
}

impl Queue {
    /// The sequence number the next stanza will get.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Appends and returns the sequence of a stanza that had to give way.
    pub(crate) fn push(&mut self, stanza: Queued) -> Option<u64> {
        self.next = self.next.max(stanza.sequence) + 1;
        self.entries.push_back(stanza);
        if self.entries.len() <= MAX_QUEUED {
            return None;
        }
        self.entries.pop_front().map(|dropped| dropped.sequence)
    }

    /// Notes when the stanza just pushed becomes durable.
    pub(crate) fn stamp_last(&mut self, after: Ticket) {
        if let Some(last) = self.entries.back_mut() {
            last.after = after;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many waiting stanzas are of a class.
    pub(crate) fn count(&self, class: Class) -> usize {
        self.entries.iter().filter(|stanza| stanza.class == class).count()
    }

    /// Forgets what was handed out: a new connection gets everything again.
    pub(crate) fn start_over(&mut self) {
        self.handed_out = 0;
    }

    /// The next stanzas the live connection has not seen, at most `limit`.
    pub(crate) fn hand_out(&mut self, limit: usize) -> Vec<Queued> {
        let start = self.entries.partition_point(|stanza| stanza.sequence < self.handed_out);
        let batch: Vec<_> = self.entries.range(start..).take(limit).cloned().collect();
        if let Some(last) = batch.last() {
            self.handed_out = last.sequence + 1;
        }
        batch
    }

    /// Removes what an acknowledgement names; returns the sequences that are gone. Only what the connection was given
    /// can be meant: a read receipt has the id of the delivery receipt before it, and must not go with that one.
    pub(crate) fn acknowledge(&mut self, class: Class, id: &str) -> Vec<u64> {
        let given = self.handed_out;
        let matches = |stanza: &Queued| stanza.sequence < given && stanza.class == class && stanza.id == id;
        let Some(first) = self.entries.iter().position(matches) else {
            return Vec::new();
        };
        // Every receipt and notification has an acknowledgement of its own; a message sent again has one for all.
        let window = if class == Class::Message { DUPLICATE_WINDOW } else { 1 };
        let end = self.entries.len().min(first + window);
        let gone: Vec<usize> = (first..end).filter(|&at| matches(&self.entries[at])).collect();
        gone.iter()
            .rev()
            .filter_map(|&at| self.entries.remove(at))
            .map(|stanza| stanza.sequence)
            .collect()
    }

    /// The sequence of every waiting stanza.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|stanza| stanza.sequence)
    }

    /// The oldest stanza, whatever it is.
    pub(crate) fn front(&self) -> Option<&Queued> {
        self.entries.front()
    }

    pub(crate) fn remove_front(&mut self, sequence: u64) {
        if self.entries.front().is_some_and(|stanza| stanza.sequence == sequence) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(queue: &Queue, id: &str) -> Queued {
        Queued {
            sequence: queue.next_sequence(),
            class: Class::Message,
            id: id.to_owned(),
            bytes: Bytes::new(),
            observed: None,
            after: 0,
        }
    }

    fn filled(ids: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for id in ids {
            let next = stanza(&queue, id);
            queue.push(next);
        }
        queue
    }

    fn ids(batch: &[Queued]) -> Vec<&str> {
        batch.iter().map(|stanza| stanza.id.as_str()).collect()
    }

    #[test]
    fn a_stanza_is_handed_out_once_per_connection() {
        let mut queue = filled(&["a", "b", "c"]);
        assert_eq!(ids(&queue.hand_out(2)), ["a", "b"]);
        assert_eq!(ids(&queue.hand_out(2)), ["c"]);
        assert!(queue.hand_out(2).is_empty());
        queue.start_over();
        assert_eq!(ids(&queue.hand_out(9)), ["a", "b", "c"]);
    }

    #[test]
    fn an_acknowledged_stanza_is_gone_with_its_repetition() {
        let mut queue = filled(&["a", "b", "a"]);
        queue.hand_out(9);
        assert_eq!(queue.acknowledge(Class::Message, "a").len(), 2);
        assert!(queue.acknowledge(Class::Receipt, "b").is_empty());
        queue.start_over();
        assert_eq!(ids(&queue.hand_out(9)), ["b"]);
    }

    #[test]
    fn acknowledging_one_receipt_keeps_a_later_one_of_the_same_message() {
        let mut queue = Queue::default();
        for given in [true, true, false] {
            let next = Queued {
                class: Class::Receipt,
                ..stanza(&queue, "a")
            };
            queue.push(next);
            if given {
                queue.hand_out(9);
            }
        }
        assert_eq!(queue.acknowledge(Class::Receipt, "a"), [0]);
        assert_eq!(queue.acknowledge(Class::Receipt, "a"), [1]);
        assert!(queue.acknowledge(Class::Receipt, "a").is_empty());
        assert_eq!(ids(&queue.hand_out(9)), ["a"]);
    }

    #[test]
    fn a_stanza_pushed_after_acknowledgements_is_still_handed_out() {
        let mut queue = filled(&["a"]);
        queue.hand_out(9);
        queue.acknowledge(Class::Message, "a");
        let next = stanza(&queue, "b");
        queue.push(next);
        assert_eq!(ids(&queue.hand_out(9)), ["b"]);
    }
}
