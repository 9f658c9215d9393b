//! Files of messages: a phone encrypts what it sends, decrypts what it is shown, and uploads again what a companion
//! could not fetch.

use std::sync::Arc;

use buffa::Message as _;
use bytes::Bytes;
use rand::RngExt as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};
use wacore::crypto::hkdf_sha256_into;
use wacore::download::{DownloadUtils, Downloadable, MediaType};
use wacore::media_retry::decrypt_media_retry_notification;
use wacore::upload::{EncryptedMedia, encrypt_media_with_key};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use wacore_libsignal::crypto::aes_256_gcm_encrypt;
use waproto::whatsapp::media_retry_notification::ResultType;
use waproto::whatsapp::message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage};
use waproto::whatsapp::{MediaRetryNotification, Message};

use super::Phone;
use super::content;
use crate::clock::unix_seconds;
use crate::error::SandboxError;
use crate::model::{FileKind, NewFile};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::media::{MAX_FILE, Missing, token_of};
use crate::server::notifications;
use crate::wire::node::{child_bytes, text_attr};

/// Room for the padding and the code behind the ciphertext.
const MAX_PLAIN: usize = MAX_FILE - 64;
/// Where files are fetched; see [`crate::server`].
const FETCHED_AT: &str = "/media/";

/// Encrypts a file, puts it where it can be fetched, and makes the message that says so.
pub(super) fn message(network: &Network, file: NewFile, rng: &mut StdRng) -> Result<Message, SandboxError> {
    if file.bytes.is_empty() || file.bytes.len() > MAX_PLAIN {
        return Err(SandboxError::InvalidFile);
    }
    let stored = put(network, &file.bytes, media_type(file.kind), rng)?;
    Ok(described(network, file, &stored))
}

/// A file that was put where companions can fetch it.
pub(super) struct Stored {
    pub sealed: EncryptedMedia,
    /// Without scheme and host.
    pub path: String,
}

/// Encrypts bytes and puts them there.
pub(super) fn put(network: &Network, bytes: &[u8], kind: MediaType, rng: &mut StdRng) -> Result<Stored, SandboxError> {
    let key = rng.random();
    let sealed =
        encrypt_media_with_key(bytes, kind, Some(&key)).map_err(|failure| SandboxError::Crypto(failure.to_string()))?;
    let ciphertext = Bytes::copy_from_slice(&sealed.data_to_upload);
    // The phone's own way into the store of files; companions come by HTTP.
    let (path, _durable_with_the_message) = network.keep_file(token_of(&ciphertext), &ciphertext);
    let path = format!("{FETCHED_AT}{path}");
    Ok(Stored { sealed, path })
}

fn media_type(kind: FileKind) -> MediaType {
    match kind {
        FileKind::Image => MediaType::Image,
        FileKind::Video => MediaType::Video,
        FileKind::Audio | FileKind::Voice => MediaType::Audio,
        FileKind::Document => MediaType::Document,
        FileKind::Sticker => MediaType::Sticker,
    }
}

/// The fields that all messages with a file have, under the same names.
macro_rules! with_file {
    ($kind:ident, $network:expr, $file:expr, $stored:expr, $mime:expr, { $($more:tt)* }) => {
        buffa::MessageField::some($kind {
            url: Some(format!("https://{}{}", $network.authority(), $stored.path)),
            direct_path: Some($stored.path.clone()),
            mimetype: Some($file.mime.unwrap_or_else(|| $mime.to_owned())),
            media_key: Some($stored.sealed.media_key.to_vec().into()),
            media_key_timestamp: i64::try_from(unix_seconds()).ok(),
            file_sha256: Some($stored.sealed.file_sha256.to_vec().into()),
            file_enc_sha256: Some($stored.sealed.file_enc_sha256.to_vec().into()),
            file_length: Some($file.bytes.len() as u64),
            $($more)*
            ..Default::default()
        })
    };
}

fn described(network: &Network, file: NewFile, stored: &Stored) -> Message {
    let mut message = Message::default();
    match file.kind {
        FileKind::Image => {
            message.image_message =
                with_file!(ImageMessage, network, file, stored, "image/jpeg", { caption: file.caption, });
        }
        FileKind::Video => {
            message.video_message =
                with_file!(VideoMessage, network, file, stored, "video/mp4", { caption: file.caption, });
        }
        FileKind::Audio => {
            message.audio_message = with_file!(AudioMessage, network, file, stored, "audio/mpeg", {});
        }
        FileKind::Voice => {
            let mime = "audio/ogg; codecs=opus";
            message.audio_message = with_file!(AudioMessage, network, file, stored, mime, { ptt: Some(true), });
        }
        FileKind::Document => {
            let mime = "application/octet-stream";
            message.document_message = with_file!(DocumentMessage, network, file, stored, mime, {
                caption: file.caption,
                title: file.name.clone(),
                file_name: file.name,
            });
        }
        FileKind::Sticker => {
            message.sticker_message = with_file!(StickerMessage, network, file, stored, "image/webp", {});
        }
    }
    message
}

/// Fetches and decrypts the file of a message, as the app does when a person taps on it.
pub(crate) fn open(network: &Network, message: &Message) -> Result<Vec<u8>, SandboxError> {
    let file = content::file(message).ok_or(SandboxError::NoFile)?;
    let bytes = network.media.fetch(path_of(file.media).ok_or(SandboxError::NoFile)?);
    let bytes = bytes.map_err(|missing| match missing {
        Missing::Unknown => SandboxError::NoFile,
        Missing::Expired => SandboxError::FileExpired,
    })?;
    let broken = |reason: &dyn std::fmt::Display| SandboxError::BrokenFile(reason.to_string());
    let key = file.media.media_key().ok_or_else(|| broken(&"there is no key"))?;
    let plain =
        DownloadUtils::verify_and_decrypt(&bytes, key, file.media.app_info()).map_err(|failure| broken(&failure))?;
    match file.media.file_sha256() {
        Some(hash) if hash == &Sha256::digest(&plain)[..] => Ok(plain),
        _ => Err(broken(&"its hash is not the one that the message names")),
    }
}

fn path_of(media: &dyn Downloadable) -> Option<&str> {
    let path = media.direct_path()?.strip_prefix(FETCHED_AT)?;
    path.split('?').next()
}

/// Answers a companion that could not fetch a file: puts it up again and tells the new address
/// (protocol brief, section 12).
pub(super) fn answer_retry(
    network: &Network,
    account: &Arc<Account>,
    phone: &Phone,
    node: &NodeRef<'_>,
    rng: &mut StdRng,
) {
    let Some(id) = text_attr(node, "id") else { return };
    let renewed = phone.chats.by_id(&id).and_then(|stored| {
        let message = stored.content();
        let file = content::file(&message)?;
        let key = file.media.media_key()?.to_vec();
        is_request(node, &key, &id).then_some(())?;
        let path = network.media.renew(path_of(file.media)?, rng);
        Some((key, path))
    });
    let found = match renewed {
        Some((key, Some(path))) => sealed_answer(&key, &id, &path, rng),
        // The phone does not have the message, or its file was given up.
        Some((_, None)) | None => None,
    };
    let found = found.unwrap_or_else(|| NodeBuilder::new("error").attr("code", 2).build());
    tell(network, account, node, &id, found);
}

/// Whether the request was made with the key of the file.
fn is_request(node: &NodeRef<'_>, key: &[u8], id: &str) -> bool {
    let parts = node.get_optional_child("encrypt").and_then(|sealed| {
        let (iv, bytes) = (child_bytes(sealed, "enc_iv")?, child_bytes(sealed, "enc_p")?);
        Some((iv, bytes))
    });
    parts.is_some_and(|(iv, bytes)| decrypt_media_retry_notification(key, id, &iv, &bytes).is_ok())
}

fn sealed_answer(key: &[u8], id: &str, path: &str, rng: &mut StdRng) -> Option<Node> {
    let answer = MediaRetryNotification {
        stanza_id: Some(id.to_owned()),
        direct_path: Some(format!("{FETCHED_AT}{path}")),
        result: Some(ResultType::SUCCESS),
        ..Default::default()
    };
    let (mut derived, iv) = ([0; 32], rng.random::<[u8; 12]>());
    hkdf_sha256_into(key, None, b"WhatsApp Media Retry Notification", &mut derived).ok()?;
    let mut sealed = Vec::new();
    aes_256_gcm_encrypt(&derived, &iv, id.as_bytes(), &answer.encode_to_vec(), &mut sealed).ok()?;
    let parts = [
        NodeBuilder::new("enc_p").bytes(sealed).build(),
        NodeBuilder::new("enc_iv").bytes(iv.to_vec()).build(),
    ];
    Some(NodeBuilder::new("encrypt").children(parts).build())
}

/// Every companion hears of it: the address helps all of them.
fn tell(network: &Network, account: &Account, node: &NodeRef<'_>, id: &str, found: Node) {
    let which = node.get_optional_child("rmr").map(NodeRef::to_owned);
    let notice = NodeBuilder::new("notification")
        .attr("from", account.user_jid(Addressing::Number))
        .attr("type", "mediaretry")
        .attr("id", id)
        .attr("t", unix_seconds())
        .children(std::iter::once(found).chain(which));
    notifications::tell_companions(network, account, None, id, &notice.build());
}
