//! Unlinking, from the phone or by the companion itself: the device and all that waited for it are gone.

use std::sync::Arc;

use super::notifications;
use crate::model::{Changed, DeviceId};
use crate::network::Network;
use crate::network::account::Account;
use crate::network::device::Device;
use crate::network::records;
use crate::network::session::Ending;
use crate::store::{Batch, Kind, Ticket};

/// Removes a companion and ends its connection. `None` when there is no such device.
pub(crate) fn unlink(network: &Network, account: &Arc<Account>, id: DeviceId) -> Option<Ticket> {
    let (device, ticket) = {
        let mut state = account.state();
        let device = state.devices.remove(&id)?;
        state.key_index_list = None;
        let mut batch = network.store.batch();
        forget(&account.number, &device, &mut batch);
        (device, network.store.submit(batch))
    };
    if let Some(session) = &device.session {
        session.end(Ending::Removed);
    }
    notifications::device_removed(network, account, id, device.key_index);
    network.announce(&account.number, Changed::Devices);
    Some(ticket)
}

fn forget(number: &str, device: &Device, batch: &mut Batch) {
    batch.delete(Kind::Device, || records::device_key(number, device.id));
    for key in &device.one_time_keys {
        batch.delete(Kind::PreKey, || records::one_time_key_key(number, device.id, key));
    }
    for sequence in device.queue.sequences() {
        batch.delete(Kind::Stanza, || records::stanza_key(number, device.id, sequence));
    }
}
