//! Owns the log: where it goes (stderr, always), how it looks and what it lets through.

use anyhow::Result;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogSettings};
use crate::output;

/// Starts logging. `engine` are directives that keep the protocol engine from writing what a log must not hold.
///
/// # Errors
/// When the filter does not parse, or logging was started before.
pub fn start(settings: &LogSettings, engine: &[&str]) -> Result<()> {
    let mut filter = EnvFilter::try_new(&settings.filter)?;
    for directive in engine {
        filter = filter.add_directive(directive.parse()?);
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Auto if output::stderr_is_terminal() => log.with_target(false).finish().try_init()?,
        LogFormat::Text => log.with_ansi(false).with_target(false).finish().try_init()?,
        LogFormat::Auto | LogFormat::Json => log.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
