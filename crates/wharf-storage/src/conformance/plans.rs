//! The promises of plans.

use wharf_model::{ApiKeyId, PlanId, SystemEdges, WorkspaceId};

use super::Subject;
use crate::api_keys::{self, ApiKey, KeyPlan, NewApiKey};
use crate::plans::{self, Plan, PlanInUse, PlanLimits, PlanPatch};
use crate::{PageRequest, Queue, StorageError};

const LIMITS: PlanLimits = PlanLimits {
    requests_per_second: Some(5),
    messages_per_day: Some(1000),
    otps_per_day: None,
    sessions: Some(0),
};

fn new_plan(subject: &Subject, workspace: WorkspaceId, name: &str) -> Plan {
    Plan {
        id: PlanId::generate(&SystemEdges, &SystemEdges),
        workspace_id: workspace,
        name: name.to_owned(),
        limits: LIMITS,
        created_at: subject.now(),
        updated_at: subject.now(),
    }
}

async fn insert(subject: &Subject, plan: &Plan) -> Result<(), StorageError> {
    let plan = plan.clone();
    let unit = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { plans::insert(tx, &plan).await })
    });
    unit.await
}

async fn patch(subject: &Subject, workspace: WorkspaceId, id: PlanId, patch: PlanPatch) -> Result<Plan, StorageError> {
    let now = subject.now();
    let unit = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { plans::patch(tx, workspace, id, &patch, now).await })
    });
    unit.await
}

async fn delete(subject: &Subject, workspace: WorkspaceId, id: PlanId) -> Result<(), StorageError> {
    let unit = subject
        .storage
        .write(Queue::Normal, move |tx| Box::pin(plans::delete(tx, workspace, id)));
    unit.await
}

async fn insert_key(subject: &Subject, hash: u8, plan: Option<PlanId>) -> Result<ApiKeyId, StorageError> {
    let id = ApiKeyId::generate(&SystemEdges, &SystemEdges);
    let key = NewApiKey {
        id,
        workspace_id: subject.workspace,
        label: "customer".to_owned(),
        prefix: "wharf_test".to_owned(),
        hash: [hash; 32],
        scopes: Vec::new(),
        expires_at: None,
        ips: None,
        sessions: None,
        plan,
        created_by: None,
        created_at: subject.now(),
    };
    let unit = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { api_keys::insert(tx, &key).await })
    });
    unit.await.map(|()| id)
}

async fn set_plan(
    subject: &Subject,
    workspace: WorkspaceId,
    key: ApiKeyId,
    plan: Option<PlanId>,
) -> Result<(), StorageError> {
    let now = subject.now();
    let unit = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(api_keys::set_plan(tx, workspace, key, plan, now))
    });
    unit.await
}

async fn key(subject: &Subject, id: ApiKeyId) -> ApiKey {
    let workspace = subject.workspace;
    let found = subject.read(move |tx| Box::pin(api_keys::get(tx, workspace, id)));
    found.await.unwrap()
}

/// And what a patch does not name stays.
pub async fn a_plan_reads_back_and_is_changed(subject: &Subject) {
    let workspace = subject.workspace;
    let plan = new_plan(subject, workspace, "starter");
    insert(subject, &plan).await.unwrap();
    let other = new_plan(subject, workspace, "large");
    insert(subject, &other).await.unwrap();
    let get = async || {
        let id = plan.id;
        subject
            .read(move |tx| Box::pin(plans::get(tx, workspace, id)))
            .await
            .unwrap()
    };
    assert_eq!(get().await, plan);
    let list =
        subject.read(move |tx| Box::pin(async move { plans::list(tx, workspace, &PageRequest::first(10)).await }));
    assert_eq!(list.await.rows, [other, plan.clone()]);
    let change = PlanPatch {
        name: Some("small".to_owned()),
        messages_per_day: Some(None),
        otps_per_day: Some(Some(7)),
        ..PlanPatch::default()
    };
    let changed = patch(subject, workspace, plan.id, change).await.unwrap();
    let wanted = PlanLimits {
        messages_per_day: None,
        otps_per_day: Some(7),
        ..LIMITS
    };
    assert_eq!((changed.name.as_str(), changed.limits), ("small", wanted));
    assert_eq!(get().await, changed);
}

/// In one workspace; another one has names of its own.
pub async fn a_name_is_given_to_one_plan(subject: &Subject) {
    let (workspace, other) = (subject.workspace, subject.other_workspace().await);
    insert(subject, &new_plan(subject, workspace, "starter")).await.unwrap();
    insert(subject, &new_plan(subject, other, "starter")).await.unwrap();
    let again = insert(subject, &new_plan(subject, workspace, "starter"))
        .await
        .unwrap_err();
    assert!(
        matches!(&again, StorageError::Conflict { constraint } if constraint.contains("name")),
        "{again:?}"
    );
    let large = new_plan(subject, workspace, "large");
    insert(subject, &large).await.unwrap();
    let change = PlanPatch {
        name: Some("starter".to_owned()),
        ..PlanPatch::default()
    };
    let taken = patch(subject, workspace, large.id, change).await;
    assert!(matches!(taken, Err(StorageError::Conflict { .. })), "{taken:?}");
}

/// Whoever looks the key up sees the limits as they are now.
pub async fn a_key_carries_its_plan(subject: &Subject) {
    let workspace = subject.workspace;
    let plan = new_plan(subject, workspace, "starter");
    let unknown = insert_key(subject, 1, Some(plan.id)).await;
    assert!(matches!(unknown, Err(StorageError::NotFound("plan"))), "{unknown:?}");
    insert(subject, &plan).await.unwrap();
    let id = insert_key(subject, 1, Some(plan.id)).await.unwrap();
    let carried = KeyPlan {
        id: plan.id,
        name: plan.name.clone(),
        limits: LIMITS,
    };
    let found = subject.read(|tx| Box::pin(api_keys::find_by_hash(tx, &[1; 32])));
    assert_eq!(found.await.unwrap().key.plan, Some(carried));
    let change = PlanPatch {
        sessions: Some(Some(9)),
        ..PlanPatch::default()
    };
    patch(subject, workspace, plan.id, change).await.unwrap();
    assert_eq!(key(subject, id).await.plan.unwrap().limits.sessions, Some(9));
    set_plan(subject, workspace, id, None).await.unwrap();
    assert_eq!(key(subject, id).await.plan, None);
    set_plan(subject, workspace, id, Some(plan.id)).await.unwrap();
    assert_eq!(key(subject, id).await.plan.unwrap().id, plan.id);
}

/// Nobody is left within limits that nobody can read.
pub async fn a_plan_stays_while_a_key_carries_it(subject: &Subject) {
    let workspace = subject.workspace;
    let plan = new_plan(subject, workspace, "starter");
    insert(subject, &plan).await.unwrap();
    let id = insert_key(subject, 1, Some(plan.id)).await.unwrap();
    let refused = delete(subject, workspace, plan.id).await.unwrap_err();
    assert_eq!(refused.rejection::<PlanInUse>(), Some(&PlanInUse), "{refused:?}");
    let now = subject.now();
    subject
        .write(move |tx| Box::pin(api_keys::revoke(tx, workspace, id, now)))
        .await;
    delete(subject, workspace, plan.id).await.unwrap();
    assert_eq!(key(subject, id).await.plan, None);
    let gone = delete(subject, workspace, plan.id).await;
    assert!(matches!(gone, Err(StorageError::NotFound(_))), "{gone:?}");
}

/// It neither sees it, changes it, deletes it nor gives it to its keys.
pub async fn another_workspace_has_no_part_in_it(subject: &Subject) {
    let (workspace, other) = (subject.workspace, subject.other_workspace().await);
    let (own, foreign) = (new_plan(subject, workspace, "own"), new_plan(subject, other, "foreign"));
    insert(subject, &own).await.unwrap();
    insert(subject, &foreign).await.unwrap();
    let (id, mine) = (foreign.id, own.id);
    assert!(
        subject
            .read(move |tx| Box::pin(plans::get(tx, workspace, id)))
            .await
            .is_none()
    );
    let changed = patch(subject, workspace, id, PlanPatch::default()).await;
    assert!(matches!(changed, Err(StorageError::NotFound("plan"))), "{changed:?}");
    let deleted = delete(subject, workspace, id).await;
    assert!(matches!(deleted, Err(StorageError::NotFound("plan"))), "{deleted:?}");
    let carried = insert_key(subject, 1, Some(id)).await;
    assert!(matches!(carried, Err(StorageError::NotFound("plan"))), "{carried:?}");
    let key = insert_key(subject, 1, Some(mine)).await.unwrap();
    let given = set_plan(subject, other, key, Some(id)).await;
    assert!(matches!(given, Err(StorageError::NotFound("API key"))), "{given:?}");
}
