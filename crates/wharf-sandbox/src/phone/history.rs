//! What a new companion is told of the past (protocol brief, section 11): every chat with its newest messages, the names of
//! people, then the older messages. Each piece lies in its notice, or beside it as a file when it is large.

use std::io::Write as _;

use buffa::{Message as _, MessageField};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::rngs::StdRng;
use wacore::download::MediaType;
use wacore_binary::{Jid, Server};
use waproto::whatsapp::history_sync::HistorySyncType as Inner;
use waproto::whatsapp::message::{
    HistorySyncNotification, HistorySyncType as Outer, ProtocolMessage, protocol_message,
};
use waproto::whatsapp::web_message_info::Status;
use waproto::whatsapp::{Conversation, HistorySync, HistorySyncMsg, MessageKey, Pushname, WebMessageInfo};

use super::chats::StoredMessage;
use super::{Phone, files};
use crate::error::SandboxError;
use crate::model::MessageStatus;
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::contacts;

/// Messages of each chat that come at once; the older ones follow.
const NEWEST: usize = 20;
/// Messages of one piece.
const PIECE: usize = 20_000;
/// Bytes of the largest piece that lies in its notice. Baileys fetches files of histories from the real network only, so
/// what can do without is given without.
const INLINE: usize = 512 * 1024;

/// Part of a chat.
type Part<'p> = (&'p str, &'p [StoredMessage]);

/// The notices in the order clients expect. Without the first and the last whatsapp-rust and Baileys wait; from the second
/// whatsapp-rust takes the account's own name.
pub(super) fn notices(
    network: &Network,
    account: &Account,
    phone: &Phone,
    rng: &mut StdRng,
) -> Result<Vec<ProtocolMessage>, SandboxError> {
    let split = |messages: &[StoredMessage]| messages.len().saturating_sub(NEWEST);
    let threads = || phone.chats.threads();
    let newest = pieces(threads().map(|(chat, messages)| (chat, &messages[split(messages)..])));
    let older = threads().map(|(chat, messages)| (chat, &messages[..split(messages)]));
    let older = pieces(older.filter(|(_, messages)| !messages.is_empty()));

    let mut notices = Vec::new();
    let mut history = |kind: Kind, pieces: Vec<Vec<Part<'_>>>, salt: Option<Vec<u8>>| -> Result<(), SandboxError> {
        for (place, piece) in (0..).zip(&pieces) {
            let history = HistorySync {
                conversations: piece.iter().map(|part| conversation(network, account, part)).collect(),
                nct_salt: salt.clone(),
                ..kind.started(place, pieces.len())
            };
            notices.push(kind.notice(network, &history, rng)?);
        }
        Ok(())
    };
    let salt = account.state().rules.salt_in_history.then(|| contacts::salt(account));
    history(Kind::Bootstrap, newest, salt.map(Vec::from))?;
    history(Kind::Recent, older, None)?;
    let names = HistorySync {
        pushnames: names(network, account, phone),
        ..Kind::Names.started(0, 1)
    };
    notices.insert(1, Kind::Names.notice(network, &names, rng)?);
    Ok(notices)
}

/// What kind of piece; notice and piece each say it in a word of their own.
#[derive(Clone, Copy)]
enum Kind {
    Bootstrap,
    Names,
    Recent,
}

impl Kind {
    fn started(self, place: u32, pieces: usize) -> HistorySync {
        let sync_type = match self {
            Self::Bootstrap => Inner::INITIAL_BOOTSTRAP,
            Self::Names => Inner::PUSH_NAME,
            Self::Recent => Inner::RECENT,
        };
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX).max(1);
        HistorySync {
            sync_type,
            chunk_order: Some(place + 1),
            progress: Some((place + 1) * 100 / pieces),
            ..Default::default()
        }
    }

    fn notice(
        self,
        network: &Network,
        history: &HistorySync,
        rng: &mut StdRng,
    ) -> Result<ProtocolMessage, SandboxError> {
        let sync_type = match self {
            Self::Bootstrap => Outer::INITIAL_BOOTSTRAP,
            Self::Names => Outer::PUSH_NAME,
            Self::Recent => Outer::RECENT,
        };
        let mut notification = HistorySyncNotification {
            sync_type: Some(sync_type),
            chunk_order: history.chunk_order,
            progress: history.progress,
            ..Default::default()
        };
        let bytes = compress(&history.encode_to_vec());
        if bytes.len() <= INLINE {
            notification.initial_hist_bootstrap_inline_payload = Some(bytes);
        } else {
            let file = files::put(network, &bytes, MediaType::History, rng)?;
            notification.direct_path = Some(file.path);
            notification.media_key = Some(file.sealed.media_key.to_vec());
            notification.file_sha256 = Some(file.sealed.file_sha256.to_vec());
            notification.file_enc_sha256 = Some(file.sealed.file_enc_sha256.to_vec());
            notification.file_length = u64::try_from(bytes.len()).ok();
        }
        Ok(ProtocolMessage {
            r#type: Some(protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
            history_sync_notification: MessageField::some(notification),
            ..Default::default()
        })
    }
}

/// Chats in pieces of bounded size, at least one piece.
fn pieces<'p>(threads: impl Iterator<Item = Part<'p>>) -> Vec<Vec<Part<'p>>> {
    let (mut pieces, mut piece, mut room) = (Vec::new(), Vec::new(), PIECE);
    for (chat, messages) in threads {
        for part in messages.chunks(PIECE) {
            if part.len() > room {
                pieces.push(std::mem::take(&mut piece));
                room = PIECE;
            }
            room -= part.len();
            piece.push((chat, part));
        }
    }
    pieces.push(piece);
    pieces
}

fn conversation(network: &Network, account: &Account, (chat, messages): &Part<'_>) -> Conversation {
    let other = network.directory.by_number(chat);
    let jid = chat_jid(chat);
    let group = jid.parse().ok().and_then(|jid: Jid| network.groups.by_jid(&jid));
    let last = messages.last().map(|last| last.message.at / 1000);
    let unread = |stored: &&StoredMessage| !stored.message.from_me && stored.message.status != MessageStatus::Read;
    let written = messages.iter().zip(0..).map(|(stored, place)| HistorySyncMsg {
        message: MessageField::some(info(network, account, &jid, stored)),
        msg_order_id: Some(place),
    });
    Conversation {
        messages: written.collect(),
        last_msg_timestamp: last,
        conversation_timestamp: last,
        unread_count: u32::try_from(messages.iter().filter(unread).count()).ok(),
        name: group.map(|group| group.state().subject.clone()),
        pn_jid: other.as_ref().map(|_| jid.clone()),
        lid_jid: other.map(|other| other.user_jid(Addressing::Lid).to_string()),
        id: jid,
        ..Default::default()
    }
}

/// Phones name chats by number, or by the JID of a group.
fn chat_jid(chat: &str) -> String {
    if chat.contains('@') {
        return chat.to_owned();
    }
    Jid::new(chat, Server::Pn).to_string()
}

fn info(network: &Network, account: &Account, jid: &str, stored: &StoredMessage) -> WebMessageInfo {
    let shown = &stored.message;
    let author = || {
        let author = network.directory.by_number(&shown.from);
        author.map(|author| author.user_jid(Addressing::Lid).to_string())
    };
    let in_group = jid.ends_with("@g.us");
    let key = MessageKey {
        remote_jid: Some(jid.to_owned()),
        from_me: Some(shown.from_me),
        id: Some(shown.id.clone()),
        participant: if in_group && !shown.from_me { author() } else { None },
    };
    let status = match shown.status {
        MessageStatus::Sent => Status::SERVER_ACK,
        MessageStatus::Delivered => Status::DELIVERY_ACK,
        MessageStatus::Read => Status::READ,
    };
    WebMessageInfo {
        participant: key.participant.clone(),
        key: MessageField::some(key),
        message: MessageField::some(stored.content()),
        message_timestamp: Some(shown.at / 1000),
        status: Some(status),
        push_name: (shown.from != account.number).then(|| name_of(network, &shown.from)),
        ..Default::default()
    }
}

fn name_of(network: &Network, number: &str) -> String {
    let account = network.directory.by_number(number);
    account.map_or_else(|| number.to_owned(), |account| account.state().name.clone())
}

/// The account's own name, and the names of those it has chats with.
fn names(network: &Network, account: &Account, phone: &Phone) -> Vec<Pushname> {
    let others = phone
        .chats
        .threads()
        .map(|(chat, _)| chat)
        .filter(|chat| !chat.contains('@'));
    std::iter::once(account.number.as_str())
        .chain(others.filter(|chat| *chat != account.number))
        .map(|number| Pushname {
            id: Some(chat_jid(number)),
            pushname: Some(name_of(network, number)),
        })
        .collect()
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing into a vector cannot fail.
    let _written = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use flate2::read::ZlibDecoder;
    use rand::SeedableRng as _;
    use wacore::download::DownloadUtils;

    use super::*;
    use crate::config::SandboxConfig;
    use crate::model::{Message, NewPhone};
    use crate::sandbox::phones;
    use crate::store::MemoryStore;
    use crate::wire::certificate::ServerKeys;

    const OTHER: &str = "15550200001";

    fn stage(rules: crate::ContactRules) -> (Network, Arc<Account>) {
        let mut rng = StdRng::seed_from_u64(7);
        let keys = ServerKeys::generate(&mut rng).unwrap();
        let network = Network::new(keys, &SandboxConfig::default(), Arc::new(MemoryStore::new()), rng);
        let new = NewPhone {
            name: Some("Ann".to_owned()),
            rules,
            ..NewPhone::default()
        };
        let account = phones::add(&network, &new, None).unwrap();
        (network, account)
    }

    fn fill(network: &Network, phone: &mut Phone, texts: impl Iterator<Item = String>) {
        for (place, text) in texts.enumerate() {
            let message = StoredMessage {
                message: Message {
                    id: format!("M{place}"),
                    from: OTHER.to_owned(),
                    kind: "text".to_owned(),
                    text,
                    at: 1_700_000_000_000,
                    ..Message::default()
                },
                device: 0,
                lid: false,
                body: None,
            };
            let mut batch = network.store.batch();
            phone.chats.add("own", OTHER, message, &mut batch);
        }
    }

    /// The pieces as a companion opens them.
    async fn pieces_told(
        network: &Network,
        account: &Account,
        texts: impl Iterator<Item = String>,
    ) -> Vec<HistorySync> {
        let mut phone = account.phone.lock().await;
        fill(network, &mut phone, texts);
        let notices = notices(network, account, &phone, &mut network.rng()).unwrap();
        let opened = notices.iter().map(|notice| {
            let notification = &notice.history_sync_notification;
            let packed = match &notification.initial_hist_bootstrap_inline_payload {
                Some(packed) => packed.clone(),
                None => fetch(network, notification),
            };
            let mut bytes = Vec::new();
            ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
            HistorySync::decode_from_slice(&bytes).unwrap()
        });
        opened.collect()
    }

    fn fetch(network: &Network, notification: &HistorySyncNotification) -> Vec<u8> {
        let path = notification.direct_path.as_deref().unwrap();
        let sealed = network.media.fetch(path.rsplit('/').next().unwrap()).unwrap();
        let key = notification.media_key.as_deref().unwrap();
        DownloadUtils::verify_and_decrypt(&sealed, key, MediaType::History).unwrap()
    }

    #[tokio::test]
    async fn the_newest_messages_come_first_and_the_older_ones_follow() {
        let (network, account) = stage(crate::ContactRules::default());
        let told = pieces_told(&network, &account, (0..25).map(|place| format!("text {place}"))).await;
        let kinds: Vec<_> = told.iter().map(|piece| piece.sync_type).collect();
        assert_eq!(kinds, [Inner::INITIAL_BOOTSTRAP, Inner::PUSH_NAME, Inner::RECENT]);
        let lengths = [0, 2].map(|piece: usize| told[piece].conversations[0].messages.len());
        assert_eq!(lengths, [20, 5]);
        let newest = &told[0].conversations[0];
        assert_eq!(
            (newest.id.as_str(), newest.unread_count),
            ("15550200001@s.whatsapp.net", Some(20))
        );
        let last = newest.messages.last().unwrap();
        assert_eq!(last.message.message.conversation.as_deref(), Some("text 24"));
        assert_eq!(told[1].pushnames[0].pushname.as_deref(), Some("Ann"));
        assert_eq!(told[0].nct_salt, None);
    }

    #[tokio::test]
    async fn who_has_no_past_is_told_so() {
        let rules = crate::ContactRules {
            salt_in_history: true,
            ..crate::ContactRules::default()
        };
        let (network, account) = stage(rules);
        let told = pieces_told(&network, &account, std::iter::empty()).await;
        assert_eq!(told.len(), 3);
        assert!(
            told.iter()
                .all(|piece| piece.conversations.is_empty() && piece.progress == Some(100))
        );
        assert_eq!(told[0].nct_salt.as_deref(), Some(&contacts::salt(&account)[..]));
    }

    #[tokio::test]
    async fn a_large_piece_is_fetched_as_a_file() {
        use rand::distr::{Alphanumeric, SampleString as _};

        let (network, account) = stage(crate::ContactRules::default());
        let mut rng = StdRng::seed_from_u64(7);
        let noise = (0..1200).map(|_| Alphanumeric.sample_string(&mut rng, 1000));
        let told = pieces_told(&network, &account, noise.collect::<Vec<_>>().into_iter()).await;
        assert_eq!(told[2].conversations[0].messages.len(), 1180);
    }
}
