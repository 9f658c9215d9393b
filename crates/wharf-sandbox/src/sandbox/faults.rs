//! Switching faults on and off. A rule made from Rust lasts as long as its guard.

use std::sync::Arc;
use std::time::Duration;

use super::Sandbox;
use crate::error::SandboxError;
use crate::fault::{FaultStatus, InvalidRule, Rule};
use crate::network::Network;

/// Holds a rule in force; dropped, it takes the rule away. What the fault did stays done.
#[derive(Debug)]
#[must_use = "the fault ends when its guard is dropped"]
pub struct FaultGuard {
    network: Arc<Network>,
    id: u64,
    kept: bool,
}

impl Sandbox {
    /// Puts a fault into force.
    pub fn fault(&self, mut rule: Rule) -> Result<FaultGuard, SandboxError> {
        rule.check().map_err(SandboxError::InvalidFault)?;
        if let Some(phone) = &rule.matching.account {
            let account = self.account(phone);
            let account = account.map_err(|_| SandboxError::InvalidFault(InvalidRule::Account))?;
            rule.matching.account = Some(account.number.clone());
        }
        let now = rule.now.then(|| rule.matching.account.clone());
        let seed = self.network.random_below(0, u64::MAX);
        let id = self.network.faults.add(rule, seed).ok_or(SandboxError::TooManyFaults)?;
        if let Some(account) = now {
            self.end_connections(id, account.as_deref());
        }
        Ok(FaultGuard {
            network: Arc::clone(&self.network),
            id,
            kept: false,
        })
    }

    /// Every fault in force, and those that are spent but not removed.
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.network.faults.list()
    }

    pub fn fault_status(&self, id: u64) -> Option<FaultStatus> {
        self.network.faults.find(id)
    }

    /// Takes a fault away, whoever made it.
    pub fn remove_fault(&self, id: u64) -> Result<(), SandboxError> {
        if self.network.faults.remove(id) {
            Ok(())
        } else {
            Err(SandboxError::UnknownFault(id))
        }
    }

    fn end_connections(&self, id: u64, account: Option<&str>) {
        let accounts = self.network.directory.all();
        let wanted = accounts
            .iter()
            .filter(|found| account.is_none_or(|number| number == found.number));
        for found in wanted {
            let sessions: Vec<_> = {
                let state = found.state();
                let devices = state.devices.values();
                devices
                    .filter_map(|device| Some((device.id, device.session.clone()?)))
                    .collect()
            };
            for (device, session) in sessions {
                let subject = format!("{}:{device}", found.number);
                if let Some(why) = self.network.faults.now(id, &subject) {
                    session.end(why);
                }
            }
        }
    }
}

impl FaultGuard {
    /// The number of the rule, as the control API and the stanza log name it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How often the fault has happened.
    pub fn fired(&self) -> u64 {
        self.network.faults.find(self.id).map_or(0, |status| status.fired)
    }

    /// Waits until the fault has happened so often.
    pub async fn wait_fired(&self, count: u64, timeout: Duration) -> Result<(), SandboxError> {
        let happened = async {
            loop {
                let again = self.network.faults.happened.notified();
                if self.fired() >= count {
                    return;
                }
                again.await;
            }
        };
        let waited = tokio::time::timeout(timeout, happened).await;
        waited.map_err(|_| SandboxError::WaitTimeout)
    }

    /// Leaves the rule in force; returns its number.
    pub fn keep(mut self) -> u64 {
        self.kept = true;
        self.id
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        if !self.kept {
            self.network.faults.remove(self.id);
        }
    }
}
