//! Clients that show a QR code right now, found by the reference in it. A reference works once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    offers: Mutex<HashMap<String, Offer>>,
}

impl PendingLinks {
    pub(crate) fn offer(&self, references: &[String], offer: &Offer) {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.extend(references.iter().map(|reference| (reference.clone(), offer.clone())));
    }

    pub(crate) fn find(&self, reference: &str) -> Option<Offer> {
        self.offers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(reference)
            .cloned()
    }

    /// Takes a connection's references back: it was scanned or it is gone. True if there were any.
    pub(crate) fn withdraw(&self, serial: u64) -> bool {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = offers.len();
        offers.retain(|_, offer| offer.serial != serial);
        offers.len() < before
    }
}
