//! `wharf link`: makes or finds a session by name, connects it, draws the QR or tells the code here, and tells what
//! happens until the session is ready. Uses the running server; where none runs, it runs the server's parts itself for as long as needed.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use secrecy::SecretString;
use serde_json::json;
use wharf_api::Scope;

use super::wire::{CodeView, QrView, SessionView};
use super::{Context, connect, sessions};
use crate::cli::Link;
use crate::cli_file::CliFile;
use crate::client::{Client, EventStream};
use crate::lifecycle::StopSignals;
use crate::outcome::{Outcome, Stop};
use crate::server::{self, Wharf};
use crate::terminal::{Ink, draw_qr};
use crate::{logging, output};

/// Links a session.
pub async fn run(context: &Context, options: &Link) -> Result<Outcome> {
    let known = CliFile::read(&context.settings()?.dir)?.url;
    let running = match (&options.remote.url, &known) {
        (Some(_), _) => true,
        (None, Some(url)) => Client::new(url, None)?.is_alive().await,
        (None, None) => false,
    };
    if running {
        return link(&connect(context, &options.remote)?, options).await;
    }
    link_here(context, options).await
}

/// Runs the server's parts in this process. Opening the database takes the owner lock, or says who has it.
async fn link_here(context: &Context, options: &Link) -> Result<Outcome> {
    let settings = context.settings()?;
    logging::start(&settings.log.quiet(), wharf_whatsapp::log_filter_directives())?;
    let signals = StopSignals::listen()?;
    let storage = server::open_storage(&settings).await?;
    let listener = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let url = server::url_of(&listener)?;
    let wharf = Wharf::start(&settings, storage, settings.sections.engine.clone(), None).await?;
    let (id, key) = wharf.keys().make("wharf link", &[Scope::Admin]).await?;
    let client = Client::new(&url, Some(SecretString::from(key.reveal())))?;
    let (app, keys, stop) = (wharf.api(), wharf.keys().clone(), wharf.stop_token());
    let serving = wharf.serve(listener, app, signals);
    let linking = async {
        let linked = link(&client, options).await;
        let revoked = keys.revoke(id).await;
        stop.cancel();
        linked.and_then(|outcome| revoked.map(|()| outcome))
    };
    let (linked, served) = tokio::join!(linking, serving);
    match (linked?, served?) {
        (Outcome::Done, served) => Ok(served),
        (linked, _) => Ok(linked),
    }
}

async fn link(client: &Client, options: &Link) -> Result<Outcome> {
    let session = find_or_make(client, &options.name).await?;
    if session.status == "ready" {
        output::tell(&format!("Session {} is linked and ready.", session.name));
        output::answer(&session.id);
        return Ok(Outcome::Done);
    }
    let path = format!("/api/sessions/{}", session.id);
    let events = client.events(&format!("{path}/events")).await?;
    match &options.phone {
        Some(phone) => tell_code(client, &path, phone).await?,
        None if matches!(session.status.as_str(), "pending" | "authenticated") => {}
        None => {
            let _accepted: SessionView = client.post(&format!("{path}/connect"), &json!({})).await?;
        }
    }
    let watch = Watch {
        client,
        path,
        by_code: options.phone.is_some(),
        shown: String::new(),
        told: String::new(),
    };
    let limit = Duration::from_secs(options.timeout);
    match tokio::time::timeout(limit, watch.until_ready(events)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(not_linked(format!(
            "the session was not ready within {} s",
            options.timeout
        ))),
    }
}

/// The code, once WhatsApp has accepted it.
async fn tell_code(client: &Client, path: &str, phone: &str) -> Result<()> {
    let code: CodeView = client
        .post(&format!("{path}/pairing-code"), &json!({ "phone": phone }))
        .await?;
    output::answer(&code.code);
    output::tell(&format!(
        "Type this code into WhatsApp on that phone before {}: Settings, Linked devices, Link a device, Link with phone \
         number instead.",
        code.expires_at
    ));
    Ok(())
}

async fn find_or_make(client: &Client, name: &str) -> Result<SessionView> {
    let mut all = sessions::all(client).await?.into_iter();
    match all.find(|session| session.name == name) {
        Some(session) => Ok(session),
        None => client.post("/api/sessions", &json!({ "name": name })).await,
    }
}

/// Follows one session and shows what a person must know.
struct Watch<'a> {
    client: &'a Client,
    path: String,
    /// A code was told; a QR beside it would only confuse.
    by_code: bool,
    /// The QR on screen.
    shown: String,
    /// The last status told.
    told: String,
}

impl Watch<'_> {
    async fn until_ready(mut self, mut events: EventStream) -> Result<Outcome> {
        loop {
            let session: SessionView = self.client.get(&self.path).await?;
            self.tell(&session);
            match session.status.as_str() {
                "ready" => {
                    output::answer(&session.id);
                    return Ok(Outcome::Done);
                }
                "auth_failed" => return Err(not_linked(format!("the account refused the link{}", reason(&session)))),
                "disconnected" if session.next_attempt_at.is_none() => {
                    return Err(not_linked(format!("the connection ended{}", reason(&session))));
                }
                "pending" if !self.by_code => self.show_qr().await?,
                _ => {}
            }
            // What an event says is read from the session itself: one source, whatever was missed.
            if events.next().await?.is_none() {
                return Err(not_linked("the server ended the event stream".to_owned()));
            }
        }
    }

    async fn show_qr(&mut self) -> Result<()> {
        let qr: QrView = match self.client.get(&format!("{}/qr", self.path)).await {
            Ok(qr) => qr,
            // Between two QRs there is none: the next event brings one.
            Err(error) if is_refusal(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if qr.qr != self.shown {
            let ink = if output::stdout_is_terminal() {
                Ink::Coloured
            } else {
                Ink::Plain
            };
            if let Some(drawn) = draw_qr(&qr.qr, ink) {
                output::answer(&drawn);
                output::tell("Scan this with WhatsApp: Settings, Linked devices, Link a device.");
            }
            self.shown = qr.qr;
        }
        Ok(())
    }

    fn tell(&mut self, session: &SessionView) {
        let step = session
            .connection_step
            .as_deref()
            .map(|step| format!(" ({})", step.replace('_', " ")));
        let line = format!("{}: {}{}", session.name, session.status, step.unwrap_or_default());
        if line != self.told {
            output::tell(&line);
            self.told = line;
        }
    }
}

fn reason(session: &SessionView) -> String {
    session
        .disconnect_reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default()
}

fn is_refusal(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Stop>()
        .is_some_and(|stop| stop.outcome == Outcome::Refused)
}

fn not_linked(sentence: String) -> anyhow::Error {
    Stop::new(Outcome::NotLinked, sentence).into()
}
