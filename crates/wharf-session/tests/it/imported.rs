//! Sessions whose credentials come from elsewhere.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::{CloseReason, SessionId, SessionStatus};
use wharf_session::{BoxError, InUse, Linked, NewSession, Outcome, SessionError};
use wharf_storage::SessionKeys;
use wharf_storage::wa_state::{self, StateRow};

use crate::world::World;

const ADA: &str = "+15550000001";
const QUIET: Duration = Duration::from_secs(10);

/// Credentials that are one row.
#[derive(Debug)]
struct Credentials;

impl Linked for Credentials {
    fn fingerprint(&self) -> &'static str {
        "3f1c09a2b7d84e5590cc12fe7a6b3d81"
    }

    fn epoch(&self) -> i64 {
        0
    }

    fn state(&self, keys: &SessionKeys) -> Result<Vec<StateRow>, BoxError> {
        let (kind, key) = ("device", b"device".to_vec());
        Ok(vec![StateRow {
            kind: kind.to_owned(),
            value: keys.seal_state(kind, &key, b"keys")?,
            key,
            owner: None,
            rank: None,
            expires_at: None,
        }])
    }
}

async fn import(world: &World) -> Result<SessionId, SessionError> {
    let new = NewSession {
        name: "moved".to_owned(),
        ..NewSession::default()
    };
    match world
        .sessions
        .import(world.workspace, new, Arc::new(Credentials), None)
        .await?
    {
        Outcome::New(view) => Ok(view.id),
        Outcome::Replayed(_) => unreachable!("no key was given"),
    }
}

async fn rows(world: &World, id: SessionId) -> usize {
    let read = world.storage.read(move |tx| Box::pin(wa_state::list(tx, id, "device")));
    read.await.unwrap().len()
}

#[tokio::test]
async fn the_session_and_its_keys_are_stored_together_and_once() {
    let world = World::new().await;
    let id = import(&world).await.unwrap();
    assert_eq!(rows(&world, id).await, 1);
    assert_eq!(world.session(id).await.status(), SessionStatus::NotStarted);
    let Err(SessionError::InUse(InUse { by })) = import(&world).await else {
        panic!("two sessions are one device");
    };
    assert_eq!(by, Some(id));
    world.sessions.delete(world.workspace, id).await.unwrap();
    let again = import(&world).await.unwrap();
    assert_eq!(rows(&world, again).await, 1);
}

#[tokio::test]
async fn the_first_moments_are_quiet_and_later_ones_are_not() {
    let world = World::with(|config| config.import_quiet = QUIET).await;
    let id = import(&world).await.unwrap();
    world.network.link(id);
    world.sessions.connect(world.workspace, id).await.unwrap();
    let client = world.network.next_client().await;
    client.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
    world.send(id, ADA, "first").await;
    world.looked(id).await;
    assert!(!client.has_send().await);
    world.advance(QUIET).await;
    let sent = client.next_send().await;
    client.ack(&sent.whatsapp_id);

    client.close(CloseReason::RestartRequired);
    client.open(2).await;
    world.until_status(id, SessionStatus::Ready).await;
    world.send(id, ADA, "second").await;
    client.next_send().await;
}
