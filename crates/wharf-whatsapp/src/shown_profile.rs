//! What the linked account shows of itself: its picture and its "about" text. Asked once in a while and when WhatsApp says that
//! one of them changed; nothing waits for the answer.

use std::sync::Arc;

use wacore_binary::Jid;
use wharf_session::port::{ClientEvent, ShownProfile};
use whatsapp_rust::{Client, ContactError};

use crate::events::some_text;
use crate::watch::RunWatch;

/// Asks in a task of its own.
pub(crate) fn ask(client: &Arc<Client>, watch: &Arc<RunWatch>) {
    let (client, watch) = (Arc::clone(client), Arc::clone(watch));
    tokio::spawn(async move {
        let device = client.persistence_manager().get_device_snapshot();
        let Some(own) = device.pn.as_ref().map(Jid::to_non_ad) else {
            return;
        };
        match shown(&client, own).await {
            Ok(shown) => watch.emit(ClientEvent::Shown(shown)),
            // It is asked again at another login.
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "WhatsApp did not tell what the account shows of itself"
            ),
        }
    });
}

async fn shown(client: &Client, own: Jid) -> Result<ShownProfile, ContactError> {
    let contacts = client.contacts();
    let picture = contacts.get_profile_picture(&own, true).await?;
    let told = contacts.get_user_info(std::slice::from_ref(&own)).await?;
    let about = told.into_values().next().and_then(|info| info.status);
    Ok(ShownProfile {
        picture_url: picture.map(|picture| picture.url),
        about: about.as_deref().and_then(some_text),
    })
}
