//! `wharf usage`: what an API key has used. Asks the running server; where none runs, opens the database itself, which takes
//! the owner lock.

use anyhow::{Context as _, Result};
use wharf_model::{ApiKeyId, Day};
use wharf_storage::{Storage, api_keys, usage};

use super::keys::is_served;
use super::wire::{CarriedView, ShareView, UsageView};
use super::{Context, connect, table};
use crate::cli::Usage;
use crate::outcome::Outcome;
use crate::{output, server};

/// Shows what was used.
pub async fn run(context: &Context, options: &Usage) -> Result<Outcome> {
    let named = options.id.as_deref().map(parse_id).transpose()?;
    let view = if is_served(context, &options.remote).await? {
        let path = match named {
            Some(id) => format!("/api/usage?key_id={id}"),
            None => "/api/usage".to_owned(),
        };
        connect(context, &options.remote)?.get(&path).await?
    } else {
        here(context, named).await?
    };
    show(view);
    Ok(Outcome::Done)
}

/// Looked at before it becomes part of a path.
fn parse_id(text: &str) -> Result<ApiKeyId> {
    Ok(text.parse::<ApiKeyId>()?)
}

async fn here(context: &Context, named: Option<ApiKeyId>) -> Result<UsageView> {
    let id = named.context("no server runs that could say which key asks: name one")?;
    let storage = server::open_storage(&context.settings()?).await?;
    let found = find(&storage, id).await;
    storage.close().await;
    found
}

async fn find(storage: &Storage, id: ApiKeyId) -> Result<UsageView> {
    let (workspace, now) = (storage.ensure_default_workspace().await?.id, storage.clock().now());
    let read = storage.read(move |tx| {
        Box::pin(async move {
            let key = api_keys::get(tx, workspace, id).await?;
            let used = usage::of_day(tx, workspace, id, now).await?;
            Ok((key, used, usage::sessions(tx, workspace, id).await?))
        })
    });
    let (key, used, sessions) = read.await?;
    let plan = key.context("there is no such API key")?.plan;
    let limits = plan.as_ref().map(|plan| plan.limits).unwrap_or_default();
    let share = |used, limit| ShareView { used, limit };
    Ok(UsageView {
        plan: plan.map(|plan| CarriedView { name: plan.name }),
        resets_at: Day::of(now).ends_at().to_string(),
        messages: share(used.messages, limits.messages_per_day),
        otps: share(used.otps, limits.otps_per_day),
        sessions: share(sessions, limits.sessions),
    })
}

fn show(view: UsageView) {
    let plan = view.plan.map_or_else(|| "none".to_owned(), |plan| plan.name);
    output::tell(&format!("Plan: {plan}. The day ends at {}.", view.resets_at));
    let rows = [
        row("messages", &view.messages),
        row("one-time passwords", &view.otps),
        row("sessions", &view.sessions),
    ];
    output::answer(&table::render(&["WHAT", "USED", "LIMIT"], &rows));
}

fn row(what: &str, share: &ShareView) -> Vec<String> {
    let limit = share.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    vec![what.to_owned(), share.used.to_string(), limit]
}
