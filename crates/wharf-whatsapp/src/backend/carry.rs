//! What becomes of the engine's memory when a backup is restored.
//!
//! A backup is older than what the other side knows. State that counts messages would count again from where it stood,
//! and use keys twice: signal sessions, our own sender keys and who has them, one-time pre-keys go. Devices and groups
//! are asked for anew, because news of them may have come in between. What makes the account linked stays (identity,
//! noise and registration keys, signed pre-keys), and so does what only grows: identities of others, app state, tokens,
//! message secrets, the messages that wait for their commit.
//!
//! WhatsApp and the phones still hold one-time pre-keys that are gone here, and signal sessions that this side does not
//! know. A message that comes by one of them is asked for again, with fresh keys: one more round, nothing lost.

use wacore::store::Device;
use wharf_model::Random;
use wharf_storage::wa_state::StateRow;
use wharf_storage::{SealError, SessionKeys};

use super::device::{read_device, write_device};
use super::kinds;
use super::rows::{Extras, open, seal};

/// Why a row cannot be carried over.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// A kind of another version; whether it may come back is not known here.
    #[error("rows of the kind {0} are not known to this version")]
    UnknownKind(String),
    /// The row does not open.
    #[error("a row of protocol state cannot be opened")]
    Sealed(#[from] SealError),
    /// The device's row cannot be read or written.
    #[error("the stored device cannot be read")]
    Device(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Ids that may have been given out since the backup was made, and more: 2^20 of the 2^24 that there are.
const GIVEN_OUT: u32 = 1 << 20;

/// Ids are 24 bits, and 0 is none.
const MOST_IDS: u32 = (1 << 24) - 1;

/// What becomes of a row; `None` for nothing.
///
/// # Errors
/// See [`CarryError`].
pub fn carry_over(keys: &SessionKeys, row: StateRow, random: &dyn Random) -> Result<Option<StateRow>, CarryError> {
    match row.kind.as_str() {
        kinds::SESSION
        | kinds::BASE_KEY
        | kinds::PRE_KEY
        | kinds::SENDER_KEY
        | kinds::KEY_HOLDER
        | kinds::HELD_GROUP
        | kinds::DEVICE_LIST
        | kinds::GROUP => Ok(None),
        kinds::IDENTITY
        | kinds::SIGNED_PRE_KEY
        | kinds::SYNC_KEY
        | kinds::APP_VERSION
        | kinds::MUTATION_MAC
        | kinds::LID_MAPPING
        | kinds::TC_TOKEN
        | kinds::SENT_MESSAGE
        | kinds::PENDING_INBOUND
        | kinds::COMMITTED
        | kinds::MSG_SECRET => Ok(Some(row)),
        kinds::DEVICE => carry_device(keys, &row, random).map(Some),
        _ => Err(CarryError::UnknownKind(row.kind)),
    }
}

fn carry_device(keys: &SessionKeys, row: &StateRow, random: &dyn Random) -> Result<StateRow, CarryError> {
    let unreadable = |error: wacore::store::error::StoreError| CarryError::Device(Box::new(error));
    let mut device = read_device(&open(keys, row)?).map_err(unreadable)?;
    renew_pre_keys(&mut device, random);
    let value = write_device(&device).map_err(unreadable)?;
    Ok(seal(keys, kinds::DEVICE, row.key.clone(), Extras::default(), &value)?)
}

/// The next login uploads a batch, under ids that no other batch of this account ever had: peers and WhatsApp may hold
/// keys of ids that were given out after the backup. The leap is by chance, so that one backup restored twice does not
/// give out the same ids twice either.
pub(super) fn renew_pre_keys(device: &mut Device, random: &dyn Random) {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let leap = GIVEN_OUT + u32::from_be_bytes(bytes) % (4 * GIVEN_OUT);
    // Around the end to ids of long ago, and never so close to the end that a batch would run into it.
    let next = (device.next_pre_key_id.max(1) - 1 + leap) % (MOST_IDS - GIVEN_OUT) + 1;
    device.next_pre_key_id = next;
    device.first_unupload_pre_key_id = next;
    device.server_has_prekeys = false;
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_model::SystemEdges;

    #[test]
    fn pre_key_ids_leap_over_all_that_may_have_been_given_out() {
        for next in [0, 1, 813, GIVEN_OUT, MOST_IDS - 1, MOST_IDS] {
            let mut device = Device::new();
            device.server_has_prekeys = true;
            device.next_pre_key_id = next;
            renew_pre_keys(&mut device, &SystemEdges);
            let (from, to) = (next.max(1), device.next_pre_key_id);
            let ahead = if to > from { to - from } else { to + MOST_IDS - from };
            assert!(ahead >= GIVEN_OUT, "{from} to {to}");
            assert!((1..=MOST_IDS - GIVEN_OUT).contains(&to));
            assert_eq!(device.first_unupload_pre_key_id, to);
            assert!(!device.server_has_prekeys);
        }
    }
}
