//! An account that changes its number.

use std::sync::{Arc, PoisonError};

use super::{Sandbox, phones};
use crate::error::SandboxError;
use crate::model::{Changed, PhoneInfo};
use crate::network::account::Account;
use crate::server::groups::{self, Actor};
use crate::server::{notifications, removal};

impl Sandbox {
    /// Gives the phone's account another number, and with it another hidden identifier. Its companions are unlinked; its
    /// name, settings, chats and groups go with it, and those who know it are told. The old number is never given again.
    ///
    /// # Errors
    /// As [`Sandbox::create_phone`] for the new number.
    pub async fn change_number(&self, phone: &str, number: &str) -> Result<PhoneInfo, SandboxError> {
        let old = self.account(phone)?;
        let new = {
            let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
            phones::add_moved(&self.network, &old, number)?
        };
        self.take_along(&old, &new).await;
        let devices = old.state().device_ids();
        for device in devices.into_iter().filter(|&device| device != 0) {
            removal::unlink(&self.network, &old, device);
        }
        self.move_groups(&old, &new);
        notifications::number_changed(&self.network, &old, &new);
        phones::retire(&self.network, &old);
        self.network.announce(&old.number, Changed::Phone);
        self.begin_phone(new).await
    }

    /// Chats, and what the phone knows of others.
    async fn take_along(&self, old: &Account, new: &Account) {
        let mut batch = self.network.store.batch();
        let mut packed = old.phone.lock().await;
        let mut unpacked = new.phone.lock().await;
        unpacked.chats = std::mem::take(&mut packed.chats);
        unpacked.chats.save_all(&new.number, &mut batch);
        self.network.store.submit(batch);
    }

    fn move_groups(&self, old: &Arc<Account>, new: &Arc<Account>) {
        let actor = Actor {
            network: &self.network,
            account: old,
            device: 0,
        };
        for group in self.network.groups.of_member(&old.number) {
            groups::replace_member(actor, &group, new);
        }
    }
}
