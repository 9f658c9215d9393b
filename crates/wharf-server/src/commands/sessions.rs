//! `wharf sessions`: a table of all sessions.

use anyhow::Result;

use super::wire::{Page, SessionView};
use super::{Context, connect, table};
use crate::cli::Remote;
use crate::client::Client;
use crate::outcome::Outcome;
use crate::output;

/// Lists every session.
pub async fn run(context: &Context, remote: &Remote) -> Result<Outcome> {
    let sessions = all(&connect(context, remote)?).await?;
    if sessions.is_empty() {
        output::tell("There are no sessions yet. `wharf link` makes one.");
    }
    let rows: Vec<_> = sessions.into_iter().map(row).collect();
    output::answer(&table::render(
        &["ID", "NAME", "STATUS", "SINCE", "ACCOUNT", "REASON"],
        &rows,
    ));
    Ok(Outcome::Done)
}

/// Every session, page by page.
pub async fn all(client: &Client) -> Result<Vec<SessionView>> {
    let mut sessions = Vec::new();
    let mut path = "/api/sessions?limit=100".to_owned();
    loop {
        let page: Page<SessionView> = client.get(&path).await?;
        sessions.extend(page.data);
        match page.next_cursor {
            Some(cursor) => path = format!("/api/sessions?limit=100&cursor={cursor}"),
            None => return Ok(sessions),
        }
    }
}

fn row(session: SessionView) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let reason = or_dash(session.disconnect_reason.filter(|_| session.status != "ready"));
    vec![
        session.id,
        session.name,
        session.status,
        or_dash(session.status_since),
        or_dash(session.phone_number),
        reason,
    ]
}
