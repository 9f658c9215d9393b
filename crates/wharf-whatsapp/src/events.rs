//! Turns the engine's events into Wharf's, in one place. The handler is synchronous and the queue behind it unbounded:
//! the engine's own delivery modes drop or reorder.

use std::sync::Arc;

use wacore::types::events::{Event, EventHandler, EventInterest, EventKind, PairSuccess, Receipt, ServerAck};
use wacore::types::presence::ReceiptType;
use wacore_binary::{Jid, JidExt as _};
use wharf_model::Timestamp;
use wharf_session::port::{AccountProfile, ClientEvent, ReceiptKind};
use whatsapp_rust::store::persistence_manager::PersistenceManager;

use crate::close_reasons::{from_disconnect, from_event};
use crate::conversions::{chat_jid, person_jid};
use crate::own_copies;
use crate::watch::RunWatch;

/// Hears the engine.
pub(crate) struct EventTap {
    watch: Arc<RunWatch>,
    manager: Arc<PersistenceManager>,
}

impl EventTap {
    pub(crate) fn new(watch: Arc<RunWatch>, manager: Arc<PersistenceManager>) -> Self {
        Self { watch, manager }
    }

    fn opened(&self) -> ClientEvent {
        let device = self.manager.get_device_snapshot();
        let profile = device.pn.as_ref().and_then(person_jid).map(|phone| AccountProfile {
            phone,
            lid: device.lid.as_ref().and_then(person_jid),
            push_name: some_text(&device.push_name),
            platform: None,
            fingerprint: Some(wharf_vault::fingerprint(
                device.identity_key.public_key.public_key_bytes(),
            )),
        });
        ClientEvent::Opened(profile)
    }

    fn is_own(&self, jid: &Jid) -> bool {
        let device = self.manager.get_device_snapshot();
        let own = [&device.pn, &device.lid];
        own.into_iter().flatten().any(|own| own.is_same_user_as(jid))
    }
}

impl EventHandler for EventTap {
    fn handle_event(&self, event: Arc<Event>) {
        if let Some(verdict) = from_event(&event) {
            self.watch.conclude(verdict);
        }
        if let Event::Disconnected(info) = &*event {
            self.watch.disconnected(from_disconnect(&info.reason));
        }
        match &*event {
            Event::RawNode(node) => {
                self.watch.frame_read();
                self.watch.intake.arrived(node.get());
            }
            Event::UndecryptableMessage(message) => {
                self.watch.intake.left(&message.info.id);
                own_copies::ask_again(&self.watch, &message.info);
            }
            Event::OfflineSyncCompleted(_) => self.watch.intake.live(),
            _ => {}
        }
        let converted = match &*event {
            Event::Connected(_) => Some(self.opened()),
            Event::PictureUpdate(update) if self.is_own(&update.jid) => Some(ClientEvent::ShownChanged),
            Event::UserAboutUpdate(update) if self.is_own(&update.jid) => Some(ClientEvent::ShownChanged),
            event => convert(event),
        };
        if let Some(event) = converted {
            self.watch.emit(event);
        }
    }

    /// Everything else is not even built by the engine.
    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::Connected,
            EventKind::Disconnected,
            EventKind::PairSuccess,
            EventKind::PairError,
            EventKind::LoggedOut,
            EventKind::PairingQrCode,
            EventKind::PairingQrCodesExhausted,
            EventKind::PairingCode,
            EventKind::PairingCodeRefresh,
            EventKind::PairingCodeError,
            EventKind::PairPasskeyRequest,
            EventKind::PairPasskeyConfirmation,
            EventKind::PairPasskeyError,
            EventKind::ClientOutdated,
            EventKind::Receipt,
            EventKind::ServerAck,
            EventKind::UndecryptableMessage,
            EventKind::SelfPushNameUpdated,
            EventKind::PictureUpdate,
            EventKind::UserAboutUpdate,
            EventKind::StreamReplaced,
            EventKind::TemporaryBan,
            EventKind::ConnectFailure,
            EventKind::RawNode,
            EventKind::OfflineSyncCompleted,
        ])
    }
}

/// What the engine says, in Wharf's words; `None` for what nobody needs to hear. Messages are not here: they come
/// through the durability hook, see [`crate::inbound`].
fn convert(event: &Event) -> Option<ClientEvent> {
    match event {
        Event::PairingQrCode(qr) => Some(ClientEvent::Qr {
            text: qr.code.clone(),
            valid_for: qr.timeout,
        }),
        Event::PairingCode(pairing) => Some(ClientEvent::PairingCode {
            code: pairing.code.clone(),
            valid_for: pairing.timeout,
        }),
        // The error comes when a code was typed and came to nothing, too; one that never came about is not shown.
        Event::PairingCodeRefresh(_) | Event::PairingCodeError(_) => Some(ClientEvent::PairingCodeLapsed),
        Event::PairPasskeyRequest(request) => Some(ClientEvent::PasskeyAsked {
            options: request.request_options_json.clone(),
        }),
        Event::PairPasskeyConfirmation(confirmation) => Some(ClientEvent::PasskeyShown {
            code: confirmation.code.clone(),
            is_known: confirmation.skip_handoff_ux,
        }),
        Event::PairPasskeyError(_) => Some(ClientEvent::PasskeyFailed),
        Event::PairSuccess(success) => linked(success),
        Event::SelfPushNameUpdated(update) => some_text(&update.new_name).map(ClientEvent::Renamed),
        Event::ServerAck(ack) => acknowledged(ack),
        Event::Receipt(receipt) => received(receipt),
        Event::UndecryptableMessage(_) => Some(ClientEvent::Undecryptable),
        _ => None,
    }
}

fn linked(success: &PairSuccess) -> Option<ClientEvent> {
    Some(ClientEvent::Linked(AccountProfile {
        phone: person_jid(&success.id)?,
        lid: person_jid(&success.lid),
        push_name: some_text(&success.business_name),
        platform: some_text(&success.platform),
        fingerprint: None,
    }))
}

/// Acks of receipts, calls and notifications are the engine's own affair.
fn acknowledged(ack: &ServerAck) -> Option<ClientEvent> {
    if ack.class.as_deref() != Some("message") {
        return None;
    }
    Some(ClientEvent::Ack {
        whatsapp_id: ack.id.clone(),
        at: ack.timestamp.map(|at| Timestamp::from_millis(at.timestamp_millis())),
        // An error that is no number is an error all the same; 0 is none of WhatsApp's codes.
        error: ack.error.as_deref().map(|code| code.parse().unwrap_or(0)),
    })
}

/// What our own other devices did with a message says nothing about the recipient.
fn received(receipt: &Receipt) -> Option<ClientEvent> {
    if receipt.source.is_from_me {
        return None;
    }
    Some(ClientEvent::Receipt {
        chat: chat_jid(&receipt.source.chat)?,
        whatsapp_ids: receipt.message_ids.clone(),
        kind: receipt_kind(&receipt.r#type)?,
        at: Timestamp::from_millis(receipt.timestamp.timestamp_millis()),
    })
}

fn receipt_kind(kind: &ReceiptType) -> Option<ReceiptKind> {
    match kind {
        // `inactive` says that the device has it and nobody looks at the screen.
        ReceiptType::Delivered | ReceiptType::Inactive => Some(ReceiptKind::Delivered),
        ReceiptType::Read => Some(ReceiptKind::Read),
        ReceiptType::Played => Some(ReceiptKind::Played),
        _ => None,
    }
}

pub(crate) fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::types::message::MessageSource;

    fn receipt(kind: ReceiptType, from_me: bool) -> Event {
        let source = MessageSource {
            chat: "15550000002:3@s.whatsapp.net".parse().unwrap(),
            sender: "15550000002:3@s.whatsapp.net".parse().unwrap(),
            is_from_me: from_me,
            ..MessageSource::default()
        };
        Event::Receipt(
            Receipt::builder()
                .source(source)
                .message_ids(vec!["3EB0".to_owned()])
                .timestamp(Default::default())
                .r#type(kind)
                .offline(false)
                .build(),
        )
    }

    #[test]
    fn receipts_of_recipients_count_and_lose_the_device() {
        let Some(ClientEvent::Receipt { chat, kind, .. }) = convert(&receipt(ReceiptType::Inactive, false)) else {
            panic!("a receipt")
        };
        assert_eq!(
            (chat.to_string().as_str(), kind),
            ("15550000002@s.whatsapp.net", ReceiptKind::Delivered)
        );
    }

    #[test]
    fn receipts_of_our_own_devices_do_not_count() {
        assert!(convert(&receipt(ReceiptType::Delivered, true)).is_none());
        for kind in [
            ReceiptType::Sender,
            ReceiptType::PeerMsg,
            ReceiptType::ReadSelf,
            ReceiptType::Retry,
        ] {
            assert!(convert(&receipt(kind, false)).is_none());
        }
    }

    #[test]
    fn an_ack_keeps_its_error() {
        let ack = |class: &str, error: Option<&str>| {
            Event::ServerAck(
                ServerAck::builder()
                    .id("3EB0".to_owned())
                    .class(class.to_owned())
                    .maybe_error(error.map(str::to_owned))
                    .build(),
            )
        };
        assert!(matches!(
            convert(&ack("message", None)),
            Some(ClientEvent::Ack { error: None, .. })
        ));
        assert!(matches!(
            convert(&ack("message", Some("463"))),
            Some(ClientEvent::Ack { error: Some(463), .. })
        ));
        assert!(matches!(
            convert(&ack("message", Some("odd"))),
            Some(ClientEvent::Ack { error: Some(0), .. })
        ));
        assert!(convert(&ack("receipt", None)).is_none());
    }
}
