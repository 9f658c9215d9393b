//! The texts of workspaces, as they were when somebody looked: a send asks the database for them once in a second, also where
//! there are none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharf_model::{Timestamp, WorkspaceId};

use crate::template::OwnText;

/// How long it is believed what another process may have changed. What this one changes is known at once.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Seen {
    texts: Arc<[OwnText]>,
    at: Timestamp,
}

impl Seen {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < KEPT
    }
}

#[derive(Debug, Default)]
struct Known {
    seen: HashMap<WorkspaceId, Seen>,
    /// How often something was changed here.
    changes: u64,
}

/// What is known of the workspaces' texts.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<Known>);

/// When somebody began to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    changes: u64,
    at: Timestamp,
}

impl Texts {
    /// The texts of a workspace, or the beginning of a look at them.
    pub(crate) fn of(&self, workspace: WorkspaceId, now: Timestamp) -> Result<Arc<[OwnText]>, Look> {
        let known = self.lock();
        match known.seen.get(&workspace).filter(|seen| seen.is_fresh(now)) {
            Some(seen) => Ok(Arc::clone(&seen.texts)),
            None => Err(Look {
                changes: known.changes,
                at: now,
            }),
        }
    }

    /// What somebody saw. Nothing, if it may have been changed since he began to look.
    pub(crate) fn note(&self, workspace: WorkspaceId, texts: Arc<[OwnText]>, look: Look) {
        let mut known = self.lock();
        if known.changes != look.changes {
            return;
        }
        known.seen.retain(|_, seen| seen.is_fresh(look.at));
        known.seen.insert(workspace, Seen { texts, at: look.at });
    }

    /// The texts of a workspace were changed.
    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        let mut known = self.lock();
        known.changes += 1;
        known.seen.remove(&workspace);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use wharf_model::SystemEdges;

    use super::*;

    fn some() -> Arc<[OwnText]> {
        let text = OwnText {
            template: "default".to_owned(),
            locale: "en".to_owned(),
            body: "{{code}}".to_owned(),
            updated_at: Timestamp::from_secs(1),
        };
        Arc::new([text])
    }

    #[test]
    fn what_was_seen_is_believed_for_a_second() {
        let (workspace, start) = (
            WorkspaceId::generate(&SystemEdges, &SystemEdges),
            Timestamp::from_secs(1_700_000_000),
        );
        for seen in [some(), Arc::default()] {
            let texts = Texts::default();
            let look = texts.of(workspace, start).unwrap_err();
            texts.note(workspace, Arc::clone(&seen), look);
            assert_eq!(texts.of(workspace, start + Duration::from_millis(999)).unwrap(), seen);
            assert!(texts.of(workspace, start + KEPT).is_err());
            assert!(texts.of(workspace, start - KEPT).is_err(), "the clock was set back");
        }
    }

    #[test]
    fn what_was_changed_is_looked_at_again() {
        let (workspace, now) = (
            WorkspaceId::generate(&SystemEdges, &SystemEdges),
            Timestamp::from_secs(1_700_000_000),
        );
        let texts = Texts::default();
        let look = texts.of(workspace, now).unwrap_err();
        texts.note(workspace, some(), look);
        texts.forget(workspace);
        let look = texts.of(workspace, now).unwrap_err();
        // Somebody saves one while the other looks.
        texts.forget(workspace);
        texts.note(workspace, some(), look);
        assert!(texts.of(workspace, now).is_err());
    }
}
