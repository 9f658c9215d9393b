//! Commits what comes in before WhatsApp is told that it arrived.

use std::sync::Arc;

use async_trait::async_trait;
use wacore::types::events::InboundMessage as EngineMessage;
use wharf_session::port::InboundSink;
use whatsapp_rust::{Client, InboundDurabilityHook};

use crate::conversions::inbound;
use crate::watch::RunWatch;

/// The engine's hook over the port's sink. An error keeps the whole batch unacknowledged and ends the run: WhatsApp
/// delivers it again on the next connection, and on this one never.
pub(crate) struct InboundHook {
    pub(crate) sink: Arc<dyn InboundSink>,
    pub(crate) watch: Arc<RunWatch>,
}

#[async_trait]
impl InboundDurabilityHook for InboundHook {
    async fn on_messages(&self, _client: Arc<Client>, batch: &[EngineMessage]) -> anyhow::Result<()> {
        let messages: Vec<_> = batch.iter().filter_map(inbound).collect();
        if !messages.is_empty() {
            let committed = self.sink.commit(messages).await;
            committed.inspect_err(|_| self.watch.refused())?;
        }
        Ok(())
    }
}
