//! `wharf generator`: the session generator and nothing else. Keeps nothing on disk, not even a data directory.

use anyhow::{Result, bail};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use wharf_model::{SystemEdges, WorkspaceId};

use super::Context;
use crate::cli::Serve;
use crate::config::{Settings, Sources};
use crate::generator::{Generator, Keeper, KeptAt};
use crate::lifecycle::StopSignals;
use crate::outcome::Outcome;
use crate::server::{self};
use crate::{logging, output};

/// Runs until a signal.
pub async fn run(context: &Context, options: &Serve) -> Result<Outcome> {
    let settings = Settings::load(&Sources {
        port: options.port,
        ..context.sources()
    })?;
    logging::start(&settings.log, wharf_whatsapp::log_filter_directives())?;
    let signals = StopSignals::listen()?;
    let listener = server::bind(settings.listen).await?;
    let url = server::url_of(&listener)?;
    let stop = CancellationToken::new();
    let (config, engine) = (settings.sections.generator.clone(), settings.sections.engine.clone());
    if config.kept_at == Some(KeptAt::Database) {
        bail!("generator.destination = \"database\" needs `wharf serve`: this command has no database");
    }
    let keeper = Keeper {
        places: server::places(&settings, None)?,
        workspace: WorkspaceId::generate(&SystemEdges, &SystemEdges),
    };
    let generator = Generator::start(config, engine, keeper, stop.clone()).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), url, network = %server::NETWORK, "wharf generates sessions");
    server::raise_open_files();
    if options.json {
        output::answer(&json!({ "url": url }).to_string());
    }
    generator.serve(listener, signals, settings.drain_deadline).await
}
