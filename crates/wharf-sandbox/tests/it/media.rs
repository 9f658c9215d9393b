//! Files: uploaded, fetched, sent by phones, and asked for again.

use std::path::Path;

use buffa::MessageField;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wacore::download::{DownloadUtils, MediaType};
use wacore::media_retry::{
    MediaRetryResult, build_media_retry_receipt, encrypt_media_retry_receipt, parse_media_retry_notification,
};
use wacore::upload::{EncryptedMedia, encrypt_media};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, OwnedNodeRef};
use waproto::whatsapp::Message;
use waproto::whatsapp::message::ImageMessage;
use wharf_sandbox::{FileKind, NewFile, NewPhone, Sandbox, SandboxConfig, SandboxError, StoreConfig};

use crate::companion::Companion;
use crate::linking::sandbox_with_phone;
use crate::raw_client::*;
use crate::tls;

/// A picture to the network: it never looks inside.
const PICTURE: &[u8] = b"\xff\xd8 not really a picture, but forty bytes long";

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self, field: &str) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body[field].as_str().unwrap_or_default().to_owned()
    }
}

/// Asks by TLS, on the port that speaks plain WebSocket to others.
async fn ask(host: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = tls::connect(host).await;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: answer[end + 4..].to_vec(),
    }
}

/// Where the server says that files go, and the pass for them.
async fn media_connection(client: &mut RawClient) -> (String, String) {
    let answer = client
        .ask("set", "w:m", Some(NodeBuilder::new("media_conn").build()))
        .await;
    let found = answer.get_optional_child("media_conn").unwrap();
    let host = found.get_optional_child("host").unwrap();
    assert!(attr(found, "ttl").parse::<u64>().unwrap() > 0);
    (attr(host, "hostname"), attr(found, "auth"))
}

struct Uploader {
    host: String,
    auth: String,
}

impl Uploader {
    async fn of(client: &mut RawClient) -> Self {
        let (host, auth) = media_connection(client).await;
        Self { host, auth }
    }

    async fn put(&self, token: &str, more: &str, body: &[u8]) -> Answer {
        let path = format!("/mms/image/{token}?auth={}&token={token}{more}", self.auth);
        ask(&self.host, "POST", &path, "", body).await
    }

    /// The address of a file that must be taken.
    async fn path(&self, sealed: &EncryptedMedia) -> String {
        let answer = self
            .put(&token(&sealed.file_enc_sha256), "", &sealed.data_to_upload)
            .await;
        assert_eq!(answer.status, 200);
        let path = answer.json("direct_path");
        assert_eq!(answer.json("url"), format!("https://{}{path}", self.host));
        path
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        ask(&self.host, "GET", path, headers, b"").await
    }
}

fn token(hash: &[u8]) -> String {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    BASE64_URL_SAFE_NO_PAD.encode(hash)
}

fn sealed() -> EncryptedMedia {
    encrypt_media(PICTURE, MediaType::Image).unwrap()
}

#[tokio::test]
async fn a_file_is_fetched_as_it_was_uploaded_and_by_anyone() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let mut client = Companion::linked(&sandbox, &phone).await.client;
    let uploader = Uploader::of(&mut client).await;
    let sealed = sealed();
    let path = uploader.path(&sealed).await;
    drop(client);
    let whole = uploader.get(&format!("{path}?token=t"), "").await;
    assert_eq!((whole.status, &whole.body), (200, &sealed.data_to_upload));
    let plain = DownloadUtils::verify_and_decrypt(&whole.body, &sealed.media_key, MediaType::Image);
    assert_eq!(plain.unwrap(), PICTURE);

    let length = whole.body.len();
    let part = uploader.get(&path, "range: bytes=16-31\r\n").await;
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[16..32]));
    assert!(
        part.head.contains(&format!("content-range: bytes 16-31/{length}")),
        "{}",
        part.head
    );
    let rest = uploader.get(&path, "range: bytes=16-\r\n").await;
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[16..]));
    let beyond = uploader
        .get(&path, &format!("range: bytes=16-{}\r\n", length + 100))
        .await;
    assert_eq!((beyond.status, &beyond.body[..]), (206, &whole.body[16..]));
    let outside = uploader.get(&path, &format!("range: bytes={length}-\r\n")).await;
    assert_eq!(outside.status, 416);
    let nonsense = uploader.get(&path, "range: pages=1\r\n").await;
    assert_eq!(nonsense.status, 200);

    assert_eq!(uploader.get("/media/other.enc", "").await.status, 404);
    // The same file again is the same file.
    assert_eq!(uploader.path(&sealed).await, path);
    assert_eq!(sandbox.expire_files(), 1);
    assert_eq!(uploader.get(&path, "").await.status, 410);
    assert_ne!(uploader.path(&sealed).await, path);
}

#[tokio::test]
async fn an_upload_needs_a_pass_the_right_name_and_a_size_that_fits() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let mut client = Companion::linked(&sandbox, &phone).await.client;
    let mut uploader = Uploader::of(&mut client).await;
    let name = token(&sealed().file_enc_sha256);
    assert_eq!(uploader.put(&name, "", b"something else").await.status, 400);
    assert_eq!(uploader.put(&name, "&file_offset=3", b"the end").await.status, 409);
    assert_eq!(uploader.put(&name, "&file_offset=x", b"the end").await.status, 400);
    let path = format!("/mms/hologram/{name}?auth={}", uploader.auth);
    assert_eq!(ask(&uploader.host, "POST", &path, "", b"").await.status, 404);
    assert_eq!(sandbox.unhandled().await[0].question, "upload hologram");
    uploader.auth.push('x');
    assert_eq!(uploader.put(&name, "", &sealed().data_to_upload).await.status, 401);
    assert_eq!(uploader.put(&name, "&resume=1", b"").await.status, 401);
}

#[tokio::test]
async fn an_upload_that_broke_off_goes_on() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let mut client = Companion::linked(&sandbox, &phone).await.client;
    let uploader = Uploader::of(&mut client).await;
    let sealed = sealed();
    let (name, bytes) = (token(&sealed.file_enc_sha256), &sealed.data_to_upload);
    assert_eq!(uploader.put(&name, "&resume=1", b"").await.json("resume"), "");

    let mut stream = tls::connect(&uploader.host).await;
    let head = format!(
        "POST /mms/image/{name}?auth={} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
        uploader.auth,
        uploader.host,
        bytes.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..20]).await.unwrap();
    stream.flush().await.unwrap();
    drop(stream);
    let came = async {
        while uploader.put(&name, "&resume=1", b"").await.json("resume") != "20" {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, came).await.unwrap();

    let done = uploader.put(&name, "&file_offset=20", &bytes[20..]).await;
    assert_eq!(done.status, 200);
    assert_eq!(&uploader.get(&done.json("direct_path"), "").await.body, bytes);
    let known = uploader.put(&name, "&resume=1", b"").await;
    assert_eq!(
        (known.json("resume").as_str(), known.json("direct_path")),
        ("complete", done.json("direct_path"))
    );
}

fn file(kind: FileKind) -> NewFile {
    NewFile {
        kind,
        bytes: PICTURE.to_vec(),
        mime: None,
        caption: Some("look".to_owned()),
        name: Some("look.pdf".to_owned()),
    }
}

async fn sandbox_in(folder: &Path) -> Sandbox {
    let config = SandboxConfig {
        store: StoreConfig::File(folder.join("sandbox.db")),
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await.unwrap()
}

#[tokio::test]
async fn phones_send_show_and_open_files_of_every_kind_and_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox_in(folder.path()).await;
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let kinds = [
        (FileKind::Image, "image", "image/jpeg", "look"),
        (FileKind::Video, "video", "video/mp4", "look"),
        (FileKind::Audio, "audio", "audio/mpeg", ""),
        (FileKind::Voice, "voice", "audio/ogg; codecs=opus", ""),
        (FileKind::Document, "document", "application/octet-stream", "look"),
        (FileKind::Sticker, "sticker", "image/webp", ""),
    ];
    let mut ids = Vec::new();
    for (kind, shown, mime, text) in kinds {
        let id = sandbox.send_file(&alice, &bob, file(kind)).await.unwrap();
        let seen = sandbox
            .wait_for_message(&bob, |message| message.id == id, PATIENCE)
            .await
            .unwrap();
        assert_eq!((&*seen.kind, &*seen.text), (shown, text));
        let info = seen.file.unwrap();
        assert_eq!((&*info.mime, info.size), (mime, PICTURE.len() as u64));
        assert_eq!(info.name.is_some(), kind == FileKind::Document);
        ids.push(id);
    }
    sandbox.stop().await;
    let sandbox = sandbox_in(folder.path()).await;
    for id in ids {
        assert_eq!(sandbox.file(&bob, &id).await.unwrap(), PICTURE);
        assert_eq!(sandbox.file(&alice, &id).await.unwrap(), PICTURE);
    }
    assert!(matches!(sandbox.file(&bob, "none").await, Err(SandboxError::NoFile)));
    let empty = NewFile {
        bytes: Vec::new(),
        ..file(FileKind::Image)
    };
    let refused = sandbox.send_file(&alice, &bob, empty).await;
    assert!(matches!(refused, Err(SandboxError::InvalidFile)));
}

fn picture(sealed: &EncryptedMedia, path: &str) -> Message {
    Message {
        image_message: MessageField::some(ImageMessage {
            direct_path: Some(path.to_owned()),
            media_key: Some(sealed.media_key.to_vec()),
            file_sha256: Some(sealed.file_sha256.to_vec()),
            file_enc_sha256: Some(sealed.file_enc_sha256.to_vec()),
            file_length: Some(PICTURE.len() as u64),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Asks the own phone for a file that could not be fetched.
async fn ask_again(companion: &mut Companion, chat: &str, id: &str, key: &[u8]) -> Node {
    let (sealed, iv) = encrypt_media_retry_receipt(key, id).unwrap();
    let own = Jid::pn(&companion.phone);
    let request = build_media_retry_receipt(&own, id, &Jid::pn(chat), false, None, &sealed, &iv);
    companion.client.send(&request).await;
    loop {
        let notice = companion.client.expect("notification").await;
        if attr(&notice, "type") == "mediaretry" {
            return notice;
        }
    }
}

fn outcome(notice: &Node, key: &[u8]) -> MediaRetryResult {
    let encoded = wacore_binary::marshal(notice).unwrap();
    let body = wacore_binary::util::unpack_bytes(bytes::BytesMut::from(&encoded[..])).unwrap();
    parse_media_retry_notification(OwnedNodeRef::new(body).unwrap().get(), key).unwrap()
}

#[tokio::test]
async fn the_phone_puts_an_expired_file_up_again() {
    let (sandbox, alice) = sandbox_with_phone().await;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let mut hers = Companion::linked(&sandbox, &alice).await;
    let mut his = Companion::linked(&sandbox, &bob).await;
    let uploader = Uploader::of(&mut hers.client).await;
    let sealed = sealed();
    let path = uploader.path(&sealed).await;
    let sent = hers.fan_out(&[&bob], "PICTURE", &picture(&sealed, &path)).await;
    hers.client.send(&sent).await;
    let seen = |message: &wharf_sandbox::Message| message.id == "PICTURE";
    sandbox.wait_for_message(&bob, seen, PATIENCE).await.unwrap();
    assert_eq!(sandbox.file(&bob, "PICTURE").await.unwrap(), PICTURE);
    sandbox.expire_files();
    assert!(matches!(
        sandbox.file(&bob, "PICTURE").await,
        Err(SandboxError::FileExpired)
    ));

    let notice = ask_again(&mut his, &alice, "PICTURE", &sealed.media_key).await;
    assert_eq!(
        attr(notice.get_optional_child("rmr").unwrap(), "jid"),
        Jid::pn(&alice).to_string()
    );
    let MediaRetryResult::Success { direct_path } = outcome(&notice, &sealed.media_key) else {
        panic!("the phone has the file");
    };
    assert_eq!(uploader.get(&direct_path, "").await.body, sealed.data_to_upload);

    let unknown = ask_again(&mut his, &alice, "OTHER", &sealed.media_key).await;
    assert!(matches!(
        outcome(&unknown, &sealed.media_key),
        MediaRetryResult::NotFound
    ));
}
