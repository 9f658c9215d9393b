//! Tames the engine's logs. It writes its own addresses, people's numbers, names and whole stanzas at `warn`, `info`
//! and `debug`, and its ratchet library writes `error` lines for attempts that then succeed. What Wharf needs to know
//! arrives as events and metrics; of the engine's own lines only those at `error` that carry no address pass.

/// Directives for `tracing_subscriber::EnvFilter`; add them after the operator's own, so that they win.
pub const fn log_filter_directives() -> &'static [&'static str] {
    &[
        // A prefix each: `wacore` is every part of the engine, `Client` every target such as `Client/Receipt`.
        "whatsapp_rust=off",
        "wacore=off",
        "waproto=off",
        "AppState=off",
        "Blocking=off",
        "Bot=off",
        "Chatstate=off",
        "Client=off",
        "MessageQueue=off",
        "Mex=off",
        "PresenceHandler=off",
        "TcToken=off",
        "UnifiedSession=off",
        "blocklist=off",
        "usync=off",
        // Failed writes of protocol state: their lines name a table and a cause, no address.
        "whatsapp_rust::store=error",
        "whatsapp_rust::signal_flush=error",
        "whatsapp_rust::message::commit_batch=error",
        // They name hosts and addresses at `debug` and `trace`.
        "reqwest=warn",
        "hyper=warn",
        "hyper_util=warn",
        "rustls=warn",
        "tokio_websockets=warn",
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::prelude::*;

    #[test]
    fn every_directive_is_one_that_the_filter_understands() {
        for directive in log_filter_directives() {
            assert!(
                directive.parse::<tracing_subscriber::filter::Directive>().is_ok(),
                "{directive}"
            );
        }
    }

    #[test]
    fn the_engines_lines_do_not_pass() {
        let filter = log_filter_directives()
            .iter()
            .fold(EnvFilter::new("trace"), |filter, directive| {
                filter.add_directive(directive.parse().unwrap())
            });
        let subscriber = tracing_subscriber::registry().with(filter);
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(target: "Client/Receipt", tracing::Level::ERROR));
            assert!(!tracing::enabled!(target: "whatsapp_rust::pair", tracing::Level::ERROR));
            assert!(!tracing::enabled!(target: "wacore_libsignal::protocol", tracing::Level::ERROR));
            assert!(tracing::enabled!(target: "wharf_whatsapp::run", tracing::Level::INFO));
        });
    }
}
