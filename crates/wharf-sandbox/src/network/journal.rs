//! Counts of what was not understood, and the log of every message stanza the server took. Both bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::model::{LoggedStanza, Unhandled};

/// Distinct questions remembered; a client that invents more is counted under one name.
const MAX_QUESTIONS: usize = 256;
const MAX_STANZAS: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct UnhandledLog {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl UnhandledLog {
    pub(crate) fn count(&self, question: String) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.contains_key(&question) || counts.len() < MAX_QUESTIONS;
        let name = if known { question } else { "other".to_owned() };
        *counts.entry(name).or_default() += 1;
    }

    pub(crate) fn list(&self) -> Vec<Unhandled> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(question, &count)| Unhandled {
                question: question.clone(),
                count,
            })
            .collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct StanzaLog {
    stanzas: Mutex<VecDeque<LoggedStanza>>,
}

impl StanzaLog {
    pub(crate) fn record(&self, stanza: LoggedStanza) {
        let mut stanzas = self.stanzas.lock().unwrap_or_else(PoisonError::into_inner);
        if stanzas.len() == MAX_STANZAS {
            stanzas.pop_front();
        }
        stanzas.push_back(stanza);
    }

    pub(crate) fn list(&self) -> Vec<LoggedStanza> {
        self.stanzas
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}
