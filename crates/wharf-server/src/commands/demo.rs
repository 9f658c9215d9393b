//! `wharf demo`: the server, a simulated network in the same process, and the page to try both. Nothing leaves this
//! machine, and after a kill the next start finds everything where it was.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use toml::Value;
use wharf_api::Scope;
use wharf_model::SystemEdges;

use super::Context;
use super::wire::{Page, SessionView};
use crate::bootstrap::KeyMaker;
use crate::cli::Serve;
use crate::cli_file::CliFile;
use crate::client::Client;
use crate::config::{Settings, Sources};
use crate::demo::{self, DemoNetwork, DemoState, Door, DoorParts};
use crate::lifecycle::StopSignals;
use crate::outcome::Outcome;
use crate::server::{self, Wharf};
use crate::{logging, output};

/// The session that waits for the first scan.
const SESSION: &str = "demo";

/// Runs until a signal.
pub async fn run(context: &Context, options: &Serve) -> Result<Outcome> {
    let settings = settings(context, options)?;
    logging::start(&settings.log.quiet(), wharf_whatsapp::log_filter_directives())?;
    server::warn(&settings);
    server::raise_open_files();
    let signals = StopSignals::listen()?;
    let storage = server::open_storage(&settings).await?;
    let listener = server::bind(settings.listen).await?;
    let url = server::url_of(&listener)?;
    let network = DemoNetwork::start(&settings.dir).await?;
    let keys = KeyMaker::new(&storage, server::NETWORK).await?;
    let key = key(&keys, &settings.dir).await?;
    CliFile {
        url: Some(url.clone()),
        api_key: Some(key.clone()),
    }
    .write(&settings.dir)?;
    let door = door(&settings.dir, listener.local_addr()?.port(), &keys, &key)?;
    let engine = network.engine(&settings.sections.engine);
    let wharf = Wharf::start(&settings, storage, engine, Some(Arc::<Door>::clone(&door))).await?;
    let stop = wharf.stop_token();
    let app = demo::router(wharf.api(), network.router(stop.clone()), &door);
    let serving = wharf.serve(listener, app, signals);
    let greeting = async {
        let greeted = greet(&url, &key, &door, &network, options).await;
        if greeted.is_err() {
            stop.cancel();
        }
        greeted
    };
    let (served, greeted) = tokio::join!(serving, greeting);
    network.stop().await;
    greeted.and(served)
}

/// Makes what a newcomer needs to find, then tells that all is ready.
async fn greet(url: &str, key: &SecretString, door: &Door, network: &DemoNetwork, options: &Serve) -> Result<()> {
    make_session(&Client::new(url, Some(key.clone()))?).await?;
    let line = json!({
        "url": url,
        "api_key": key.expose_secret(),
        "sandbox_url": network.url(),
        "chat_url": network.chat_url(),
    });
    if options.json {
        output::answer(&line.to_string());
    }
    tell(url, &door.issue_code(), key, network.url());
    Ok(())
}

/// The demo's own defaults: a folder of its own, loopback only, and a pace for people who try things.
fn settings(context: &Context, options: &Serve) -> Result<Settings> {
    let text = |text: &str| Value::String(text.to_owned());
    let defaults = vec![
        ("storage.dir", text("wharf-demo")),
        ("pacing.per_minute", Value::Integer(600)),
        ("pacing.gap_min", text("0ms")),
        ("pacing.gap_max", text("100ms")),
        ("pacing.per_recipient", text("0ms")),
        ("pacing.new_chats_per_day", Value::Integer(10_000)),
    ];
    let mut settings = Settings::load(&Sources {
        port: options.port,
        defaults,
        ..context.sources()
    })?;
    settings.listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(settings)
}

/// The remembered key while it works, a new one otherwise.
async fn key(keys: &KeyMaker, dir: &Path) -> Result<SecretString> {
    if let Some(known) = CliFile::read(dir)?.api_key
        && keys.works(&known).await?
    {
        return Ok(known);
    }
    let (_, key) = keys.make("demo", &[Scope::Admin]).await?;
    Ok(SecretString::from(key.reveal()))
}

fn door(dir: &Path, port: u16, keys: &KeyMaker, key: &SecretString) -> Result<Arc<Door>> {
    Ok(Arc::new(Door::new(DoorParts {
        dir: dir.to_owned(),
        port,
        workspace: keys.workspace(),
        key: key.clone(),
        state: DemoState::read(dir)?,
        clock: Arc::new(SystemEdges),
        random: Arc::new(SystemEdges),
    })))
}

async fn make_session(client: &Client) -> Result<()> {
    let sessions: Page<SessionView> = client.get("/api/sessions?limit=1").await?;
    if sessions.data.is_empty() {
        let _made: SessionView = client.post("/api/sessions", &json!({ "name": SESSION })).await?;
    }
    Ok(())
}

/// The banner. The key is shown to a terminal only: elsewhere stderr may be a log.
fn tell(url: &str, code: &str, key: &SecretString, sandbox_url: &str) {
    let key = if output::stderr_is_terminal() {
        key.expose_secret()
    } else {
        "in cli.json in the data directory"
    };
    output::tell(&format!(
        "\n  Wharf demo: a simulated network, nothing leaves this machine.\n\n    Open    {url}/#code={code}\n            \
         works once, within 15 minutes\n    API     {url}/api\n    Key     {key}\n    Phones  {sandbox_url}/sandbox/api\n\n  \
         Ctrl-C stops it; the next start finds everything again.\n"
    ));
}
