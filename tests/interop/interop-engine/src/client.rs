//! The engine, and what it tells.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use wacore::store::InMemoryBackend;
use wacore::types::events::{Event, InboundMessage};
use waproto::whatsapp::Message;
use waproto::whatsapp::message::ImageMessage;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::download::MediaType;
use whatsapp_rust::features::{GroupCreateOptions, GroupParticipantOptions};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::{Client, Jid, TokioRuntime, UploadOptions};
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::command::Command;
use crate::http::Http;
use crate::tell::{Event as Told, Line, tell};

/// The client version that it says it is.
const VERSION: (u32, u32, u32) = (2, 3000, 1_023_000_000);

/// What came, by id: to be read, and its file fetched.
type Inbox = Arc<Mutex<HashMap<String, InboundMessage>>>;

pub struct Engine {
    chat_url: String,
    http: Http,
    backend: Arc<InMemoryBackend>,
    running: Option<BotHandle>,
    inbox: Inbox,
}

impl Engine {
    pub fn new(chat_url: String, http: Http) -> Self {
        Self {
            chat_url,
            http,
            backend: Arc::new(InMemoryBackend::new()),
            running: None,
            inbox: Inbox::default(),
        }
    }

    pub async fn obey(&mut self, command: Command) -> Result<Option<String>> {
        match command {
            Command::Start => self.start().await.map(|()| None),
            Command::Stop => {
                self.stop().await;
                Ok(None)
            }
            Command::Logout => {
                self.client()?.logout().await;
                Ok(None)
            }
            Command::Code { phone } => self.code(phone).await.map(Some),
            Command::SendText { to, text } => self.send(&to, text_message(text)).await.map(Some),
            Command::SendImage { to, bytes, caption } => {
                let message = self.image(BASE64_STANDARD.decode(bytes)?, caption).await?;
                self.send(&to, message).await.map(Some)
            }
            Command::File { id } => self.file(&id).await.map(Some),
            Command::Read { id } => self.read(&id).await.map(|()| None),
            Command::MakeGroup { subject, members } => self.make_group(subject, &members).await.map(Some),
        }
    }

    async fn start(&mut self) -> Result<()> {
        let inbox = Arc::clone(&self.inbox);
        let bot = Bot::builder()
            .with_backend_arc(Arc::clone(&self.backend) as _)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(self.chat_url.as_str()))
            .with_http_client(self.http.clone())
            .with_runtime(TokioRuntime)
            // Otherwise it looks the newest one up on the web.
            .with_version(VERSION)
            .on_event(move |event, _client| {
                pass_on(&event, &inbox);
                std::future::ready(())
            })
            .build()
            .await?;
        self.running = Some(bot.spawn());
        Ok(())
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    fn client(&self) -> Result<Arc<Client>> {
        let running = self.running.as_ref().context("the client was not started")?;
        Ok(running.client())
    }

    async fn code(&self, phone_number: String) -> Result<String> {
        let options = PairCodeOptions {
            phone_number,
            ..PairCodeOptions::default()
        };
        Ok(self.client()?.pair_with_code(options).await?)
    }

    async fn send(&self, to: &str, message: Message) -> Result<String> {
        let jid: Jid = to.parse()?;
        Ok(self.client()?.send_message(jid, message).await?.message_id)
    }

    async fn image(&self, bytes: Vec<u8>, caption: String) -> Result<Message> {
        let uploaded = self
            .client()?
            .upload(bytes, MediaType::Image, UploadOptions::default())
            .await?;
        Ok(Message {
            image_message: buffa::MessageField::some(ImageMessage {
                url: Some(uploaded.url),
                direct_path: Some(uploaded.direct_path),
                mimetype: Some("image/jpeg".to_owned()),
                caption: Some(caption),
                media_key: Some(uploaded.media_key.to_vec()),
                media_key_timestamp: Some(uploaded.media_key_timestamp),
                file_sha256: Some(uploaded.file_sha256.to_vec()),
                file_enc_sha256: Some(uploaded.file_enc_sha256.to_vec()),
                file_length: Some(uploaded.file_length),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    fn message(&self, id: &str) -> Result<InboundMessage> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.get(id).cloned().with_context(|| format!("no message {id} came"))
    }

    async fn file(&self, id: &str) -> Result<String> {
        let message = self.message(id)?.message;
        let image = message
            .image_message
            .as_option()
            .context("a message without a picture")?;
        let bytes = self.client()?.download(image).await?;
        Ok(BASE64_STANDARD.encode(bytes))
    }

    async fn read(&self, id: &str) -> Result<()> {
        let source = &self.message(id)?.info.source;
        let author = source.is_group.then_some(&source.sender);
        self.client()?.mark_as_read(&source.chat, author, &[id]).await
    }

    async fn make_group(&self, subject: String, members: &[String]) -> Result<String> {
        let mut options = GroupCreateOptions::new(subject);
        for member in members {
            options = options.with_participant(GroupParticipantOptions::new(member.parse()?));
        }
        let made = self.client()?.groups().create_group(options).await?;
        Ok(made.metadata.id.to_string())
    }
}

fn text_message(text: String) -> Message {
    Message {
        conversation: Some(text),
        ..Default::default()
    }
}

fn pass_on(event: &Event, inbox: &Inbox) {
    let told = |event| tell(&Line::Event(event));
    match event {
        Event::PairingQrCode(shown) => told(Told::Qr { qr: shown.code.clone() }),
        Event::Connected(_) => told(Told::Open),
        Event::Disconnected(_) => told(Told::Closed),
        Event::LoggedOut(_) => told(Told::LoggedOut),
        Event::HistorySync(history) => {
            let chats = history.get().map(|history| history.conversations.as_slice());
            let messages = chats.unwrap_or_default().iter().map(|chat| chat.messages.len());
            told(Told::History {
                messages: messages.sum(),
            });
        }
        Event::GroupUpdate(update) => told(Told::Group {
            jid: update.group_jid.to_string(),
        }),
        Event::Receipt(receipt) => receipt.message_ids.iter().for_each(|id| {
            told(Told::Receipt {
                id: id.to_string(),
                kind: format!("{:?}", receipt.r#type),
            });
        }),
        Event::Messages(batch) => batch.iter().for_each(|message| {
            let id = message.info.id.to_string();
            let mut kept = inbox.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(id.clone(), message.clone());
            told(Told::Message {
                id,
                chat: message.info.source.chat.to_string(),
                text: text_of(&message.message),
            });
        }),
        _ => {}
    }
}

fn text_of(message: &Message) -> Option<String> {
    let extended = message.extended_text_message.as_option();
    let image = message.image_message.as_option();
    let conversation = message.conversation.clone();
    conversation
        .or_else(|| extended.and_then(|extended| extended.text.clone()))
        .or_else(|| image.and_then(|image| image.caption.clone()))
}
