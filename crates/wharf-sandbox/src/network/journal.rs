//! Counts of what was not understood. Bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::Unhandled;

/// Distinct questions remembered; a client that invents more is counted under one name.
const MAX_QUESTIONS: usize = 256;

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
