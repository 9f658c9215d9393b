//! The minimal Baileys program, `tests/baileys/gateway.mjs`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use wharf_testkit::process::{Node, PATIENCE, Remote, Usage};

use super::{Chats, Gateway, Shown, Watched};
use crate::TEXT;
use crate::load::caller::{Acknowledged, Caller};
use crate::load::connection::Connection;
use crate::load::request::Request;

pub struct Baileys {
    node: Node,
    api: Remote,
}

impl Baileys {
    /// Starts it on an empty folder; `programs` is `tests/baileys`.
    pub async fn start(programs: &Path, folder: &Path, chat_url: &str, root_public_key: &str) -> Result<Self> {
        ensure!(
            programs.join("node_modules").is_dir(),
            "Baileys is not installed: run `npm ci` in tests/baileys"
        );
        let folder = folder.to_string_lossy().into_owned();
        let arguments = [chat_url.to_owned(), root_public_key.to_owned(), folder];
        let mut node = Node::start(&PathBuf::from("node"), &programs.join("gateway.mjs"), &arguments, None)?;
        let ready = node.next(PATIENCE).await?;
        let url = ready["url"].as_str().context("the gateway names no address")?;
        Ok(Self {
            api: Remote::new(url, None)?,
            node,
        })
    }

    fn address(&self) -> &str {
        let url = self.api.base();
        url.strip_prefix("http://").unwrap_or(url)
    }
}

impl Gateway for Baileys {
    const NAME: &'static str = "Baileys";
    const LINK_TRIES: u32 = 3;
    type Watch = String;

    async fn show_qr(&self, name: &str) -> Result<Watched<Self>> {
        let made = self.api.post("/sessions", &json!({ "name": name })).await?;
        let at = Instant::now();
        let qr = made["qr"].as_str().context("a session without a QR")?.to_owned();
        let session = name.to_owned();
        Ok(Watched {
            watch: session.clone(),
            shown: Shown { session, qr, at },
        })
    }

    async fn until_ready(&self, session: String) -> Result<()> {
        self.api.get(&format!("/sessions/{session}/ready")).await?;
        Ok(())
    }

    async fn callers(&self, lists: &[Chats<'_>]) -> Result<Vec<Caller>> {
        let mut callers = Vec::with_capacity(lists.len());
        for chats in lists {
            let request = |phone: &String| {
                let body = json!({ "session": chats.session, "to": phone, "text": TEXT }).to_string();
                Request::post(self.address(), "/send", None, &body)
            };
            callers.push(Caller {
                connection: Connection::open(self.address()).await?,
                requests: chats.phones.iter().map(request).collect(),
                acknowledged: Acknowledged::InAnswer,
                wire_id: "id",
            });
        }
        Ok(callers)
    }

    async fn tidy(&self) -> Result<()> {
        self.api.post("/collect", &json!({})).await?;
        Ok(())
    }

    fn usage(&self) -> Result<Usage> {
        Ok(self.node.usage()?)
    }

    fn last_words(&mut self) -> String {
        super::cause(&self.node.program().said(super::LAST_WORDS))
    }

    async fn stop(mut self) -> Result<()> {
        // It ends when its standard input does.
        drop(self.node.take_input());
        self.node.program().ended(PATIENCE).await?;
        Ok(())
    }
}
