//! A past for phones that have none: chats with people who do not exist, as many as a test needs.

use super::Sandbox;
use crate::clock::unix_millis;
use crate::error::SandboxError;
use crate::model::{Message, MessageStatus};
use crate::phone::chats::StoredMessage;

/// Numbers of people who do not exist: `155502` and five digits, next to those of made-up phones.
const INVENTED_PREFIX: &str = "155502";
const MAX_CHATS: usize = 10_000;
const MAX_MESSAGES: usize = 200_000;
/// Between one message of a chat and the next.
const STEP_MS: u64 = 60_000;

impl Sandbox {
    /// Writes so many chats into the phone, with so many texts each, by turns of both sides, the last one just now.
    /// Companions that are linked from now on are told of them. O(messages).
    ///
    /// # Errors
    /// [`SandboxError::InvalidHistory`] for none, or too many.
    pub async fn invent_history(&self, phone: &str, chats: usize, messages: usize) -> Result<(), SandboxError> {
        let sum = chats
            .checked_mul(messages)
            .filter(|&sum| sum > 0 && sum <= MAX_MESSAGES);
        if sum.is_none() || chats > MAX_CHATS {
            return Err(SandboxError::InvalidHistory);
        }
        let account = self.account(phone)?;
        {
            let mut phone = account.phone.lock().await;
            let mut batch = self.network.store.batch();
            for chat in 0..chats {
                let other = format!("{INVENTED_PREFIX}{chat:05}");
                for place in 0..messages {
                    let message = invented(&account.number, &other, place, messages);
                    phone.chats.add(&account.number, &other, message, &mut batch);
                }
            }
            self.network.store.submit(batch);
        }
        account.announce_chat(&self.network, format!("{INVENTED_PREFIX}{:05}", 0));
        self.flush().await
    }
}

fn invented(own: &str, other: &str, place: usize, of: usize) -> StoredMessage {
    let from_me = place % 2 == 1;
    let age = u64::try_from(of - place).unwrap_or(u64::MAX).saturating_mul(STEP_MS);
    StoredMessage {
        message: Message {
            id: format!("PAST{other}{place:06}"),
            from_me,
            from: if from_me { own } else { other }.to_owned(),
            kind: "text".to_owned(),
            text: format!("Message {} of {of} in the chat with {other}", place + 1),
            at: unix_millis().saturating_sub(age),
            status: MessageStatus::Read,
            ..Message::default()
        },
        device: 0,
        lid: false,
        body: None,
    }
}
