//! `wharf keys`: make, list and revoke API keys. Asks the running server; where none runs, opens the database itself,
//! which takes the owner lock.

use anyhow::{Context as _, Result};
use serde_json::json;
use wharf_api::Scope;
use wharf_model::ApiKeyId;
use wharf_storage::{PageRequest, api_keys};

use super::wire::{KeyView, NewKeyView, Page};
use super::{Context, connect, table};
use crate::bootstrap::KeyMaker;
use crate::cli::{Keys, Remote};
use crate::cli_file::CliFile;
use crate::client::Client;
use crate::outcome::Outcome;
use crate::{output, server};

/// Does what was asked for with keys.
pub async fn run(context: &Context, command: &Keys) -> Result<Outcome> {
    let remote = match command {
        Keys::Create { remote, .. } | Keys::List { remote } | Keys::Revoke { remote, .. } => remote,
    };
    if is_served(context, remote).await? {
        over_http(&connect(context, remote)?, command).await?;
    } else {
        here(context, command).await?;
    }
    Ok(Outcome::Done)
}

async fn is_served(context: &Context, remote: &Remote) -> Result<bool> {
    if remote.url.is_some() {
        return Ok(true);
    }
    match CliFile::read(&context.settings()?.dir)?.url {
        Some(url) => Ok(Client::new(&url, None)?.is_alive().await),
        None => Ok(false),
    }
}

async fn over_http(client: &Client, command: &Keys) -> Result<()> {
    match command {
        Keys::Create { label, scopes, .. } => {
            let made: NewKeyView = client
                .post("/api/api-keys", &json!({ "label": label, "scopes": scopes }))
                .await?;
            show_new(&made.id, &made.key);
        }
        Keys::List { .. } => show(all(client).await?),
        Keys::Revoke { id, .. } => {
            client.delete(&format!("/api/api-keys/{id}")).await?;
            output::tell("Revoked.");
        }
    }
    Ok(())
}

async fn all(client: &Client) -> Result<Vec<KeyView>> {
    let mut keys = Vec::new();
    let mut path = "/api/api-keys?limit=100".to_owned();
    loop {
        let page: Page<KeyView> = client.get(&path).await?;
        keys.extend(page.data);
        match page.next_cursor {
            Some(cursor) => path = format!("/api/api-keys?limit=100&cursor={cursor}"),
            None => return Ok(keys),
        }
    }
}

async fn here(context: &Context, command: &Keys) -> Result<()> {
    let settings = context.settings()?;
    let storage = server::open_storage(&settings).await?;
    let keys = KeyMaker::new(&storage, server::NETWORK).await?;
    let done = apply(&keys, command).await;
    storage.close().await;
    done
}

async fn apply(keys: &KeyMaker, command: &Keys) -> Result<()> {
    match command {
        Keys::Create { label, scopes, .. } => {
            let (id, key) = keys.make(label, &parse_scopes(scopes)?).await?;
            show_new(&id.to_string(), key.reveal());
        }
        Keys::List { .. } => show(all_here(keys).await?),
        Keys::Revoke { id, .. } => {
            let id: ApiKeyId = id.parse()?;
            keys.revoke(id).await?;
            output::tell("Revoked.");
        }
    }
    Ok(())
}

async fn all_here(keys: &KeyMaker) -> Result<Vec<KeyView>> {
    let mut found = Vec::new();
    let mut page = PageRequest::first(100);
    loop {
        let listed = keys.list(page).await?;
        found.extend(listed.rows.into_iter().map(view));
        match listed.next {
            Some(cursor) => {
                page = PageRequest {
                    after: Some(cursor),
                    limit: 100,
                }
            }
            None => return Ok(found),
        }
    }
}

fn parse_scopes(texts: &[String]) -> Result<Vec<Scope>> {
    texts
        .iter()
        .map(|text| text.parse().with_context(|| format!("`{text}` is not a scope")))
        .collect()
}

fn view(key: api_keys::ApiKey) -> KeyView {
    KeyView {
        id: key.id.to_string(),
        label: key.label,
        prefix: key.prefix,
        status: if key.revoked_at.is_some() { "revoked" } else { "active" }.to_owned(),
        scopes: key.scopes,
        last_used_at: key.last_used_at.map(|at| at.to_string()),
    }
}

fn show_new(id: &str, key: &str) {
    output::answer(key);
    output::tell(&format!("This is shown once. Its id is {id}."));
}

fn show(keys: Vec<KeyView>) {
    let rows: Vec<_> = keys.into_iter().map(row).collect();
    output::answer(&table::render(
        &["ID", "LABEL", "PREFIX", "STATUS", "SCOPES", "LAST USED"],
        &rows,
    ));
}

fn row(key: KeyView) -> Vec<String> {
    let used = key.last_used_at.unwrap_or_else(|| "never".to_owned());
    vec![key.id, key.label, key.prefix, key.status, key.scopes.join(","), used]
}
