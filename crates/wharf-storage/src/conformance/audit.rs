//! The promises of the audit log.

use wharf_model::{ApiKeyId, PlanId, SystemEdges};

use super::Subject;
use crate::audit::{self, Action, AuditEntry, Requester};
use crate::{PageRequest, StorageError};

fn entry(subject: &Subject, action: Action) -> AuditEntry {
    AuditEntry {
        workspace: subject.workspace,
        at: subject.now(),
        by: Requester {
            who: "key_1".to_owned(),
            address: Some("198.51.100.7".to_owned()),
            request_id: Some("req_1".to_owned()),
        },
        action,
        session: None,
        api_key: None,
        plan: None,
    }
}

/// Every action reads back as it was written, newest first, page by page, and for its workspace alone.
pub async fn an_entry_reads_back_in_its_own_workspace(subject: &Subject) {
    let mut written: Vec<_> = Action::ALL.into_iter().map(|action| entry(subject, action)).collect();
    written[0].session = Some(subject.session("s").await.id);
    written[1].by = Requester::server();
    written[2].api_key = Some(ApiKeyId::generate(&SystemEdges, &SystemEdges));
    // Of a plan that is gone, or never was: the entry outlives it.
    written[3].plan = Some(PlanId::generate(&SystemEdges, &SystemEdges));
    let rows = written.clone();
    subject
        .write(move |tx| {
            Box::pin(async move {
                for row in &rows {
                    audit::append(tx, Some(row)).await?;
                }
                Ok(())
            })
        })
        .await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest {
            after: after.take(),
            limit: 3,
        };
        let workspace = subject.workspace;
        let page = subject
            .read(move |tx| Box::pin(async move { audit::list(tx, workspace, &page).await }))
            .await;
        seen.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    written.reverse();
    assert_eq!(seen, written);
    let other = subject.other_workspace().await;
    let foreign = subject
        .read(move |tx| Box::pin(async move { audit::list(tx, other, &PageRequest::first(10)).await }))
        .await;
    assert!(foreign.rows.is_empty());
}

/// An entry is kept with what it tells of, or not at all.
pub async fn an_entry_goes_with_its_unit(subject: &Subject) {
    let row = entry(subject, Action::SessionExported);
    let failed = subject
        .storage
        .write(crate::Queue::Normal, move |tx| {
            Box::pin(async move {
                audit::append(tx, Some(&row)).await?;
                Err::<(), _>(StorageError::NotFound("session"))
            })
        })
        .await;
    assert!(failed.is_err());
    let workspace = subject.workspace;
    let page = subject
        .read(move |tx| Box::pin(async move { audit::list(tx, workspace, &PageRequest::first(10)).await }))
        .await;
    assert!(page.rows.is_empty());
}
