//! Clients that wait for a phone to link them: by a QR code, found by the reference in it, or by a typed code, found by
//! the number that they asked for. A reference works once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::account::Account;
use crate::error::SandboxError;
use crate::model::DeviceId;

/// What a person does with a phone to link a client.
#[derive(Debug)]
pub(crate) enum LinkRequest {
    Scanned(ScanRequest),
    Typed(CodeRequest),
    /// A code or a passkey was proven right: as good as a scan.
    Proven(ScanRequest),
}

/// The phone knows the secret that `pair-success` is sealed with.
#[derive(Debug)]
pub(crate) struct ScanRequest {
    pub account: Arc<Account>,
    pub adv_secret: [u8; 32],
    pub done: oneshot::Sender<Result<DeviceId, SandboxError>>,
}

/// The person typed a code; whether it is the client's is to be seen.
#[derive(Debug)]
pub(crate) struct CodeRequest {
    pub code: String,
    pub done: oneshot::Sender<Result<DeviceId, SandboxError>>,
}

/// What a registering connection offers to the phone that links it.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub serial: u64,
    pub noise: [u8; 32],
    pub identity: [u8; 32],
    /// What the client calls its owner, if it says so before it is linked.
    pub push_name: Option<String>,
    pub requests: mpsc::Sender<LinkRequest>,
}

#[derive(Debug, Default)]
pub(crate) struct PendingLinks {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    offers: HashMap<u64, (Offer, Vec<String>)>,
    /// Which offer a reference belongs to, and until when it can be scanned.
    references: HashMap<String, (u64, Instant)>,
    /// Which offer waits for a code typed on the phone with this number, and until when.
    codes: HashMap<String, (u64, Instant)>,
}

impl PendingLinks {
    /// Clients show the references one after the other, each for its time.
    pub(crate) fn offer(&self, references: Vec<(String, Instant)>, offer: &Offer) {
        let mut pending = self.lock();
        let named = references.iter();
        let named = named.map(|(reference, until)| (reference.clone(), (offer.serial, *until)));
        pending.references.extend(named);
        let names = references.into_iter().map(|(reference, _)| reference).collect();
        pending.offers.insert(offer.serial, (offer.clone(), names));
    }

    pub(crate) fn find(&self, reference: &str) -> Option<Offer> {
        let pending = self.lock();
        let (serial, until) = pending.references.get(reference)?;
        let (offer, _) = pending.offers.get(serial).filter(|_| Instant::now() < *until)?;
        Some(offer.clone())
    }

    /// A code typed on the phone with this number is for that connection now. Of several the last one counts.
    pub(crate) fn await_code(&self, number: &str, serial: u64, until: Instant) {
        self.lock().codes.insert(number.to_owned(), (serial, until));
    }

    /// The connection that waits for a code of this number.
    pub(crate) fn find_code(&self, number: &str) -> Option<Offer> {
        let mut pending = self.lock();
        let (serial, until) = *pending.codes.get(number)?;
        if until <= Instant::now() {
            pending.codes.remove(number);
            return None;
        }
        pending.offers.get(&serial).map(|(offer, _)| offer.clone())
    }

    /// The code of this connection is of no use any more.
    pub(crate) fn forget_code(&self, serial: u64) {
        self.lock().codes.retain(|_, (waiting, _)| *waiting != serial);
    }

    /// Takes a connection's references back: it was scanned or it is gone. True if there were any.
    pub(crate) fn withdraw(&self, serial: u64) -> bool {
        let mut pending = self.lock();
        pending.codes.retain(|_, (waiting, _)| *waiting != serial);
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
