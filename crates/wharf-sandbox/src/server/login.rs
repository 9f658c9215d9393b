//! Login of a linked device: it is who it says only if it proves the Noise key of its link (protocol brief, section 4).

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;

use super::connection::{self, Gone, Opened};
use super::inlet::Inlet;
use super::outlet::Outlet;
use super::{Client, Then, dirty, dispatch, presence};
use crate::clock::unix_seconds;
use crate::model::{Changed, DeviceId};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::session::{Ending, Outgoing, Session};
use crate::wire::node::encode;

pub(super) async fn run(network: &Arc<Network>, opened: Opened, payload: &ClientPayload) -> Result<(), Gone> {
    let Some((account, device)) = identify(network, payload, opened.client_static) else {
        return connection::refuse(network, opened, payload, 401.into()).await;
    };
    let ban = account.state().ban;
    if let Some(ban) = ban.filter(|ban| ban.until.is_none_or(|until| unix_seconds() < until)) {
        return connection::refuse(network, opened, payload, ban.into()).await;
    }
    let Opened {
        mut inlet, mut pipe, ..
    } = opened;
    let (session, answers) = Session::new();
    let client = Client {
        network: Arc::clone(network),
        account,
        device,
        session: Arc::new(session),
    };
    if !take_over(&client) {
        return Err(Gone::Closed);
    }
    let _registered = Registered(&client);
    inlet.tap.identified(&client.account.number, device);
    inlet.tap.login(payload, None);
    pipe.send_node(&success(&client)).await?;
    for notice in dirty::notices(&client) {
        pipe.send_node(&notice).await?;
    }
    let ended = {
        let writing = Outlet::new(&client, answers).run(&mut pipe);
        tokio::select! {
            ended = writing => ended,
            gone = read(&client, &mut inlet) => Err(gone),
        }
    };
    inlet.part(network, pipe, ended?).await;
    Ok(())
}

pub(super) fn identify(
    network: &Network,
    payload: &ClientPayload,
    proven: [u8; 32],
) -> Option<(Arc<Account>, DeviceId)> {
    let account = network.directory.by_number(&payload.username?.to_string())?;
    let device = DeviceId::try_from(payload.device?).ok()?;
    let known = account.state().devices.get(&device).map(|found| found.noise);
    (known == Some(proven)).then_some((account, device))
}

/// Makes this the device's connection; an older one is told that it was replaced. False if it was just unlinked.
fn take_over(client: &Client) -> bool {
    let mut state = client.account.state();
    let Some(device) = state.devices.get_mut(&client.device) else {
        return false;
    };
    device.queue.start_over();
    let older = device.session.replace(Arc::clone(&client.session));
    drop(state);
    if let Some(older) = older {
        older.end(Ending::Replaced);
    }
    client.network.announce(&client.account.number, Changed::Devices);
    true
}

/// Takes the connection back out of the device when it is over, unless another one has taken its place.
struct Registered<'c>(&'c Client);

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let client = self.0;
        let mut state = client.account.state();
        if let Some(device) = state.devices.get_mut(&client.device)
            && device
                .session
                .as_ref()
                .is_some_and(|session| session.serial == client.session.serial)
        {
            device.session = None;
        }
        drop(state);
        presence::availability_changed(&client.network, &client.account);
        client.network.announce(&client.account.number, Changed::Devices);
    }
}

fn success(client: &Client) -> wacore_binary::Node {
    NodeBuilder::new("success")
        .attr("t", unix_seconds())
        .attr("location", "sbx")
        .attr("props", "1")
        .attr("lid", client.account.device_jid(Addressing::Lid, client.device))
        .build()
}

/// Handles stanzas in the order they come. Waits when the client does not take its answers.
async fn read(client: &Client, inlet: &mut Inlet) -> Gone {
    loop {
        let stanza = match inlet.next().await {
            Ok(stanza) => stanza,
            Err(Gone::Fault(why)) => {
                // The writer ends the connection, once it is through with what it is writing.
                client.session.end(why);
                std::future::pending().await
            }
            Err(gone) => return gone,
        };
        let reply = dispatch::handle(client, &stanza);
        for answer in &reply.answers {
            let outgoing = Outgoing {
                bytes: encode(answer),
                after: reply.after,
            };
            if !client.session.answer(outgoing).await {
                return Gone::Closed;
            }
        }
        match reply.then {
            Then::Continue => {}
            Then::Activate => activate(client),
            Then::Close => return Gone::Closed,
        }
    }
}

/// From now on the client gets its queue, and the phone may greet it.
pub(super) fn activate(client: &Client) {
    presence::show_chat_states(client);
    client.session.activate();
    client.account.wake.notify_one();
}
