//! `wharf send`: one text, accepted by the server. Prints the message's id.

use anyhow::Result;
use serde_json::json;

use super::wire::MessageView;
use super::{Context, connect, sessions};
use crate::cli::Send;
use crate::client::Client;
use crate::outcome::{Outcome, Stop};
use crate::output;

/// Sends a text.
pub async fn run(context: &Context, options: &Send) -> Result<Outcome> {
    let client = connect(context, &options.remote)?;
    let session = find(&client, &options.session).await?;
    let body = json!({ "session_id": session, "to": options.to, "type": "text", "text": { "body": options.text } });
    let message: MessageView = client.post("/api/messages", &body).await?;
    output::answer(&message.id);
    output::tell(&format!("Accepted; it is {}.", message.status));
    Ok(Outcome::Done)
}

/// The id of a session that is named by its name or id.
async fn find(client: &Client, name: &str) -> Result<String> {
    let sessions = sessions::all(client).await?;
    let mut found = sessions
        .into_iter()
        .filter(|session| session.id == name || session.name == name);
    match (found.next(), found.next()) {
        (Some(session), None) => Ok(session.id),
        (Some(_), Some(_)) => Err(refuse(format!(
            "several sessions are called {name}: give the id instead"
        ))),
        (None, _) => Err(refuse(format!(
            "there is no session {name}; `wharf sessions` lists them"
        ))),
    }
}

fn refuse(sentence: String) -> anyhow::Error {
    Stop::new(Outcome::Refused, sentence).into()
}
