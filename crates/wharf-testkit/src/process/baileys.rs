//! A companion on Baileys from npm: `tests/baileys/peer.mjs`, which keeps its keys in a folder.

use std::path::Path;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::error::ProcessError;
use super::node::Node;
use super::{PATIENCE, until};

/// A running companion.
#[derive(Debug)]
pub struct Baileys {
    node: Node,
}

/// A file's name and what it holds.
pub type KeptFile = (String, Vec<u8>);

impl Baileys {
    /// Starts the script on the keys that are in the folder; without any it asks to be linked.
    ///
    /// # Errors
    /// Node is not installed.
    pub fn start(
        script: &Path,
        chat_url: &str,
        root_public_key: [u8; 32],
        folder: &Path,
    ) -> Result<Self, ProcessError> {
        let root = root_public_key.iter().map(|byte| format!("{byte:02x}")).collect();
        let arguments = [chat_url.to_owned(), root, folder.to_string_lossy().into_owned()];
        let node = Node::start(Path::new("node"), script, &arguments, None)?;
        Ok(Self { node })
    }

    /// The next event of this kind; passes over all others.
    ///
    /// # Errors
    /// It ended, or the event did not come.
    pub async fn event(&mut self, kind: &str) -> Result<Value, ProcessError> {
        loop {
            let event = self.node.next(PATIENCE).await?;
            if event["event"] == kind {
                return Ok(event);
            }
        }
    }

    /// Waits until it decrypted this text.
    ///
    /// # Errors
    /// It ended, or the text did not come.
    pub async fn hears(&mut self, text: &str) -> Result<Value, ProcessError> {
        loop {
            let message = self.event("message").await?;
            if message["text"] == text {
                return Ok(message);
            }
        }
    }

    /// Sends a text, and waits until the server has it.
    ///
    /// # Errors
    /// It ended, or the message was not acknowledged.
    pub async fn says(&mut self, to: &str, text: &str) -> Result<(), ProcessError> {
        self.node.tell(&json!({"send": {"to": to, "text": text}})).await?;
        self.event("acked").await.map(drop)
    }

    /// Changes what the account shows of itself.
    ///
    /// # Errors
    /// It ended, or did not say that it is done.
    pub async fn shows(&mut self, about: &str, picture: &[u8]) -> Result<(), ProcessError> {
        self.show(json!({"about": about, "picture": BASE64.encode(picture)}))
            .await
    }

    /// Changes the name that the account gives itself.
    ///
    /// # Errors
    /// It ended, or did not say that it is done.
    pub async fn renames(&mut self, name: &str) -> Result<(), ProcessError> {
        self.show(json!({"name": name})).await
    }

    async fn show(&mut self, change: Value) -> Result<(), ProcessError> {
        self.node.tell(&json!({"show": change})).await?;
        self.event("shown").await.map(drop)
    }

    /// Ends it, and reads what it keeps.
    ///
    /// # Errors
    /// It did not end, or its files cannot be read.
    pub async fn stop(mut self, folder: &Path) -> Result<Vec<KeptFile>, ProcessError> {
        self.node.tell(&json!({"stop": true})).await?;
        self.node.program().ended(PATIENCE).await?;
        kept(folder).await
    }
}

/// What is in a folder, once no file is in the middle of being written.
///
/// # Errors
/// It cannot be read.
pub async fn kept(folder: &Path) -> Result<Vec<KeptFile>, ProcessError> {
    until("Baileys finishes its files", PATIENCE, || async {
        let files = read(folder).map_err(|source| ProcessError::Control {
            program: "Baileys".to_owned(),
            action: "read",
            source,
        })?;
        let is_whole = |(_, content): &KeptFile| serde_json::from_slice::<Value>(content).is_ok();
        Ok(files.iter().all(is_whole).then_some(files))
    })
    .await
}

fn read(folder: &Path) -> std::io::Result<Vec<KeptFile>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((
            entry.file_name().to_string_lossy().into_owned(),
            std::fs::read(entry.path())?,
        ))
    };
    std::fs::read_dir(folder)?.map(read).collect()
}
