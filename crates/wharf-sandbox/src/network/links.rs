//! Clients that show a QR code right now, found by the reference in it. A reference works once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::account::Account;
use crate::error::SandboxError;
use crate::model::DeviceId;

/// A phone's wish to link the client behind a QR code.
#[derive(Debug)]
pub(crate) struct ScanRequest {
    pub account: Arc<Account>,
    pub adv_secret: [u8; 32],
    pub done: oneshot::Sender<Result<DeviceId, SandboxError>>,
}

/// What a registering connection offers to the phone that scans its code.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub serial: u64,
    pub noise: [u8; 32],
    pub identity: [u8; 32],
    pub scans: mpsc::Sender<ScanRequest>,
}

#[derive(Debug, Default)]
pub(crate) struct PendingLinks {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    offers: HashMap<u64, (Offer, Vec<String>)>,
    /// Which offer a reference belongs to.
    references: HashMap<String, u64>,
}

impl PendingLinks {
    pub(crate) fn offer(&self, references: &[String], offer: &Offer) {
        let mut pending = self.lock();
        let named = references.iter().map(|reference| (reference.clone(), offer.serial));
        pending.references.extend(named);
        pending
            .offers
            .insert(offer.serial, (offer.clone(), references.to_vec()));
    }

    pub(crate) fn find(&self, reference: &str) -> Option<Offer> {
        let pending = self.lock();
        let serial = pending.references.get(reference)?;
        pending.offers.get(serial).map(|(offer, _)| offer.clone())
    }

    /// Takes a connection's references back: it was scanned or it is gone. True if there were any.
    pub(crate) fn withdraw(&self, serial: u64) -> bool {
        let mut pending = self.lock();
        let Some((_, references)) = pending.offers.remove(&serial) else {
            return false;
        };
        for reference in &references {
            pending.references.remove(reference);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
