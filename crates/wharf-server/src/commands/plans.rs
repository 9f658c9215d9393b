//! `wharf plans`: make, list and delete plans. Asks the running server; where none runs, opens the database itself, which
//! takes the owner lock.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::json;
use wharf_api::check_plan_name;
use wharf_model::{PlanId, WorkspaceId};
use wharf_storage::audit::{self, Action, AuditEntry, Requester};
use wharf_storage::plans::{self, Plan, PlanInUse, PlanLimits};
use wharf_storage::{PageRequest, Queue, Storage};

use super::keys::is_served;
use super::wire::{KeyView, Page, PlanView};
use super::{Context, connect, table};
use crate::cli::{Limits, Plans};
use crate::client::Client;
use crate::outcome::Outcome;
use crate::{output, server};

/// Does what was asked for with plans.
pub async fn run(context: &Context, command: &Plans) -> Result<Outcome> {
    let remote = match command {
        Plans::Create { remote, .. } | Plans::List { remote } | Plans::Delete { remote, .. } => remote,
    };
    if is_served(context, remote).await? {
        over_http(&connect(context, remote)?, command).await?;
    } else {
        here(context, command).await?;
    }
    Ok(Outcome::Done)
}

async fn over_http(client: &Client, command: &Plans) -> Result<()> {
    match command {
        Plans::Create { name, limits, .. } => {
            let plan = json!({
                "name": name,
                "requests_per_second": limits.requests_per_second,
                "messages_per_day": limits.messages_per_day,
                "otps_per_day": limits.otps_per_day,
                "sessions": limits.sessions,
            });
            let made: PlanView = client.post("/api/plans", &plan).await?;
            output::answer(&made.id);
        }
        Plans::List { .. } => show(all(client).await?),
        Plans::Delete { id, .. } => {
            client.delete(&format!("/api/plans/{}", parse_id(id)?)).await?;
            output::tell("Deleted.");
        }
    }
    Ok(())
}

/// Looked at before it becomes part of a path.
fn parse_id(text: &str) -> Result<PlanId> {
    Ok(text.parse::<PlanId>()?)
}

async fn all(client: &Client) -> Result<Vec<PlanView>> {
    let mut plans = Vec::new();
    let mut path = "/api/plans?limit=100".to_owned();
    loop {
        let page: Page<PlanView> = client.get(&path).await?;
        plans.extend(page.data);
        match page.next_cursor {
            Some(cursor) => path = format!("/api/plans?limit=100&cursor={cursor}"),
            None => return Ok(plans),
        }
    }
}

/// Puts the names of their plans into keys that have the ids.
pub(super) async fn name(client: &Client, keys: &mut [KeyView]) -> Result<()> {
    if keys.iter().all(|key| key.plan.is_none()) {
        return Ok(());
    }
    let plans = all(client).await?.into_iter();
    let names: HashMap<String, String> = plans.map(|plan| (plan.id, plan.name)).collect();
    for plan in keys.iter_mut().filter_map(|key| key.plan.as_mut()) {
        if let Some(name) = names.get(plan.as_str()) {
            plan.clone_from(name);
        }
    }
    Ok(())
}

async fn here(context: &Context, command: &Plans) -> Result<()> {
    let storage = server::open_storage(&context.settings()?).await?;
    let done = apply(&storage, command).await;
    storage.close().await;
    done
}

async fn apply(storage: &Storage, command: &Plans) -> Result<()> {
    let workspace = storage.ensure_default_workspace().await?.id;
    match command {
        Plans::Create { name, limits, .. } => {
            check_plan_name(name)?;
            let plan = new(storage, workspace, name, *limits);
            let (id, entry) = (plan.id, entry(storage, workspace, Action::PlanCreated, plan.id));
            let stored = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    plans::insert(tx, &plan).await?;
                    audit::append(tx, Some(&entry)).await
                })
            });
            stored.await?;
            output::answer(&id.to_string());
        }
        Plans::List { .. } => show(all_here(storage, workspace).await?),
        Plans::Delete { id, .. } => {
            let id = parse_id(id)?;
            let entry = entry(storage, workspace, Action::PlanDeleted, id);
            let deleted = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    plans::delete(tx, workspace, id).await?;
                    audit::append(tx, Some(&entry)).await
                })
            });
            deleted.await.map_err(|error| match error.rejection::<PlanInUse>() {
                Some(in_use) => anyhow::Error::new(*in_use),
                None => error.into(),
            })?;
            output::tell("Deleted.");
        }
    }
    Ok(())
}

fn entry(storage: &Storage, workspace: WorkspaceId, action: Action, plan: PlanId) -> AuditEntry {
    AuditEntry {
        workspace,
        at: storage.clock().now(),
        by: Requester::server(),
        action,
        session: None,
        api_key: None,
        plan: Some(plan),
    }
}

fn new(storage: &Storage, workspace: WorkspaceId, name: &str, limits: Limits) -> Plan {
    let now = storage.clock().now();
    Plan {
        id: PlanId::generate(&**storage.clock(), &**storage.random()),
        workspace_id: workspace,
        name: name.to_owned(),
        limits: PlanLimits {
            requests_per_second: limits.requests_per_second,
            messages_per_day: limits.messages_per_day.map(u64::from),
            otps_per_day: limits.otps_per_day.map(u64::from),
            sessions: limits.sessions.map(u64::from),
        },
        created_at: now,
        updated_at: now,
    }
}

async fn all_here(storage: &Storage, workspace: WorkspaceId) -> Result<Vec<PlanView>> {
    let mut found = Vec::new();
    let mut page = PageRequest::first(100);
    loop {
        let listed = storage
            .read(move |tx| Box::pin(async move { plans::list(tx, workspace, &page).await }))
            .await?;
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

fn view(plan: Plan) -> PlanView {
    PlanView {
        id: plan.id.to_string(),
        name: plan.name,
        requests_per_second: plan.limits.requests_per_second,
        messages_per_day: plan.limits.messages_per_day,
        otps_per_day: plan.limits.otps_per_day,
        sessions: plan.limits.sessions,
    }
}

fn show(plans: Vec<PlanView>) {
    let rows: Vec<_> = plans.into_iter().map(row).collect();
    output::answer(&table::render(
        &["ID", "NAME", "REQUESTS/S", "MESSAGES/DAY", "OTPS/DAY", "SESSIONS"],
        &rows,
    ));
}

fn row(plan: PlanView) -> Vec<String> {
    let limit = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    vec![
        plan.id,
        plan.name,
        limit(plan.requests_per_second.map(u64::from)),
        limit(plan.messages_per_day),
        limit(plan.otps_per_day),
        limit(plan.sessions),
    ]
}
