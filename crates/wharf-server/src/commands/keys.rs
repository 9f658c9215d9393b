//! `wharf keys`: make, list, rotate and revoke API keys. Asks the running server; where none runs, opens the database
//! itself, which takes the owner lock.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use wharf_api::{AddressRange, Scope};
use wharf_model::{ApiKeyId, PlanId, SessionId, Timestamp};
use wharf_storage::{PageRequest, api_keys};

use super::wire::{KeyView, NewKeyView, Page};
use super::{Context, connect, connect_with, plans, table};
use crate::bootstrap::{KeyDraft, KeyMaker};
use crate::cli::{CreateKey, Keys, Remote, RevokeKey};
use crate::cli_file::CliFile;
use crate::client::Client;
use crate::outcome::Outcome;
use crate::{output, server};

/// More than any key has.
const LONGEST_LINE: u64 = 1024;

/// Does what was asked for with keys.
pub async fn run(context: &Context, command: &Keys) -> Result<Outcome> {
    let remote = remote_of(command);
    let is_served = is_served(context, remote).await?;
    match command {
        Keys::Revoke(RevokeKey { leaked: true, .. }) if is_served => {
            revoke_itself(&connect_with(context, remote, read_key()?)?).await?;
        }
        command if is_served => over_http(&connect(context, remote)?, command).await?,
        command => here(context, command).await?,
    }
    Ok(Outcome::Done)
}

const fn remote_of(command: &Keys) -> &Remote {
    match command {
        Keys::Create(CreateKey { remote, .. })
        | Keys::List { remote, .. }
        | Keys::Rotate { remote, .. }
        | Keys::Revoke(RevokeKey { remote, .. }) => remote,
    }
}

/// Whether a server is to be asked: one that was named, or the one that runs on this directory.
pub(super) async fn is_served(context: &Context, remote: &Remote) -> Result<bool> {
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
        Keys::Create(create) => {
            let made: NewKeyView = client.post("/api/api-keys", &body_of(create)).await?;
            show_new(&made.id, &made.key);
        }
        Keys::List { unused_for_days, .. } => {
            let mut keys = all(client, *unused_for_days).await?;
            plans::name(client, &mut keys).await?;
            show(keys);
        }
        Keys::Rotate {
            id,
            overlap,
            replace_latest,
            ..
        } => {
            let path = format!("/api/api-keys/{}/rotate", parse_id(id)?);
            let how = json!({ "overlap_seconds": overlap, "replace_latest": replace_latest });
            let rotated: NewKeyView = client.post(&path, &how).await?;
            show_rotated(&rotated.key, rotated.previous_valid_until.as_deref());
        }
        Keys::Revoke(revoke) => {
            client.delete(&format!("/api/api-keys/{}", id_of(revoke)?)).await?;
            output::tell("Revoked.");
        }
    }
    Ok(())
}

fn body_of(create: &CreateKey) -> Value {
    json!({
        "label": create.label,
        "scopes": create.scopes,
        "expires_at": create.expires_at,
        "ips": named(&create.ips),
        "sessions": named(&create.sessions),
        "plan": create.plan,
    })
}

/// A list that nobody named is no limit; an empty one would allow nothing.
fn named(list: &[String]) -> Option<&[String]> {
    Some(list).filter(|list| !list.is_empty())
}

fn id_of(revoke: &RevokeKey) -> Result<ApiKeyId> {
    parse_id(revoke.id.as_deref().unwrap_or_default())
}

/// Looked at before it becomes part of a path: `self` would be the key that the command itself calls with.
fn parse_id(text: &str) -> Result<ApiKeyId> {
    Ok(text.parse::<ApiKeyId>()?)
}

async fn all(client: &Client, unused_for_days: Option<u32>) -> Result<Vec<KeyView>> {
    let filter = unused_for_days.map_or_else(String::new, |days| format!("&unused_for_days={days}"));
    let first = format!("/api/api-keys?limit=100{filter}");
    let mut keys = Vec::new();
    let mut path = first.clone();
    loop {
        let page: Page<KeyView> = client.get(&path).await?;
        keys.extend(page.data);
        match page.next_cursor {
            Some(cursor) => path = format!("{first}&cursor={cursor}"),
            None => return Ok(keys),
        }
    }
}

/// Revokes the key that the client calls with.
async fn revoke_itself(client: &Client) -> Result<()> {
    client.delete("/api/api-keys/self").await?;
    output::tell("Revoked.");
    Ok(())
}

/// The key that somebody found. It stands in no argument: those are seen by every user of the machine.
fn read_key() -> Result<SecretString> {
    let input = std::io::stdin();
    if input.is_terminal() {
        output::tell("Paste the key and press Enter:");
    }
    let mut line = String::new();
    input
        .lock()
        .take(LONGEST_LINE)
        .read_line(&mut line)
        .context("the key could not be read from standard input")?;
    ensure!(!line.trim().is_empty(), "there is no key on standard input");
    Ok(SecretString::from(line.trim()))
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
        Keys::Create(create) => {
            let (id, key) = keys.make_limited(draft_of(create)?).await?;
            show_new(&id.to_string(), key.reveal());
        }
        Keys::List { unused_for_days, .. } => show(all_here(keys, *unused_for_days).await?),
        Keys::Rotate {
            id,
            overlap,
            replace_latest,
            ..
        } => {
            let overlap = Some(Duration::from_secs(u64::from(*overlap))).filter(|_| !replace_latest);
            let (key, until) = keys.rotate(parse_id(id)?, overlap).await?;
            show_rotated(key.reveal(), Some(&until.to_string()));
        }
        Keys::Revoke(RevokeKey { leaked: true, .. }) => {
            keys.revoke_leaked(read_key()?.expose_secret()).await?;
            output::tell("Revoked.");
        }
        Keys::Revoke(revoke) => {
            keys.revoke(id_of(revoke)?).await?;
            output::tell("Revoked.");
        }
    }
    Ok(())
}

fn draft_of(create: &CreateKey) -> Result<KeyDraft> {
    let expires_at = create.expires_at.as_deref().map(parse_time).transpose()?;
    for range in &create.ips {
        range
            .parse::<AddressRange>()
            .with_context(|| format!("`{range}` cannot be used"))?;
    }
    let sessions = create.sessions.iter().map(|text| parse_session(text));
    let sessions: Vec<_> = sessions.collect::<Result<_>>()?;
    Ok(KeyDraft {
        label: create.label.clone(),
        scopes: parse_scopes(&create.scopes)?,
        expires_at,
        ips: named(&create.ips).map(<[String]>::to_vec),
        sessions: Some(sessions).filter(|sessions| !sessions.is_empty()),
        plan: create.plan.as_deref().map(str::parse::<PlanId>).transpose()?,
    })
}

fn parse_time(text: &str) -> Result<Timestamp> {
    Timestamp::parse_rfc3339(text).with_context(|| format!("`{text}` is not a time such as 2030-01-31T00:00:00Z"))
}

fn parse_session(text: &str) -> Result<SessionId> {
    text.parse::<SessionId>()
        .with_context(|| format!("`{text}` is not the id of a session"))
}

async fn all_here(keys: &KeyMaker, unused_for_days: Option<u32>) -> Result<Vec<KeyView>> {
    let mut found = Vec::new();
    let mut page = PageRequest::first(100);
    loop {
        let listed = match unused_for_days {
            Some(days) => keys.list_unused(days, page).await?,
            None => keys.list(page).await?,
        };
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
        plan: key.plan.map(|plan| plan.name),
    }
}

fn show_new(id: &str, key: &str) {
    output::answer(key);
    output::tell(&format!("This is shown once. Its id is {id}."));
}

fn show_rotated(key: &str, until: Option<&str>) {
    output::answer(key);
    let until = until.map_or_else(String::new, |until| format!(" The one before works until {until}."));
    output::tell(&format!("This is shown once.{until}"));
}

fn show(keys: Vec<KeyView>) {
    let rows: Vec<_> = keys.into_iter().map(row).collect();
    output::answer(&table::render(
        &["ID", "LABEL", "PREFIX", "STATUS", "SCOPES", "PLAN", "LAST USED"],
        &rows,
    ));
}

fn row(key: KeyView) -> Vec<String> {
    let used = key.last_used_at.unwrap_or_else(|| "never".to_owned());
    let (scopes, plan) = (key.scopes.join(","), key.plan.unwrap_or_else(|| "-".to_owned()));
    vec![key.id, key.label, key.prefix, key.status, scopes, plan, used]
}
