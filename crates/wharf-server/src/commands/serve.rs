//! `wharf serve`: the server.

use anyhow::Result;
use secrecy::SecretString;
use serde_json::json;
use wharf_api::keys::ApiKey;

use super::Context;
use crate::cli::Serve;
use crate::cli_file::CliFile;
use crate::config::{Settings, Sources};
use crate::lifecycle::StopSignals;
use crate::outcome::Outcome;
use crate::server::{self, Wharf};
use crate::{bootstrap, logging, output, pages};

/// Runs until a signal.
pub async fn run(context: &Context, options: &Serve) -> Result<Outcome> {
    let settings = Settings::load(&Sources {
        port: options.port,
        ..context.sources()
    })?;
    logging::start(&settings.log, wharf_whatsapp::log_filter_directives())?;
    let signals = StopSignals::listen()?;
    let storage = server::open_storage(&settings).await?;
    let listener = server::bind(settings.listen).await?;
    let url = server::url_of(&listener)?;
    let wharf = Wharf::start(&settings, storage, settings.sections.engine.clone(), None).await?;
    let first = wharf.keys().first(settings.bootstrap_key_file.as_deref()).await?;
    if let Some(key) = &first {
        bootstrap::hand_over(key, &settings.dir, options.json)?;
    }
    remember(&settings, &url, first.as_ref())?;
    announce(&settings, &url);
    if options.json {
        let key = first.as_ref().map(ApiKey::reveal);
        output::answer(&json!({ "url": url, "api_key": key, "sandbox_url": null }).to_string());
    }
    let front = wharf.generator().unwrap_or_else(pages::router);
    let app = wharf.api().merge(front);
    wharf.serve(listener, app, signals).await
}

/// Tells commands on this machine where the server is.
fn remember(settings: &Settings, url: &str, first: Option<&ApiKey>) -> Result<()> {
    let mut file = CliFile::read(&settings.dir)?;
    file.url = Some(url.to_owned());
    if let Some(key) = first {
        file.api_key = Some(SecretString::from(key.reveal()));
    }
    file.write(&settings.dir)
}

fn announce(settings: &Settings, url: &str) {
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, url, network = %server::NETWORK, dir = %settings.dir.display(), "wharf serves");
    server::warn(settings);
    server::raise_open_files();
}
