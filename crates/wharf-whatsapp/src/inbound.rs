//! Commits what comes in before WhatsApp is told that it arrived.

use std::sync::Arc;

use async_trait::async_trait;
use wacore::types::events::InboundMessage as EngineMessage;
use wharf_session::port::InboundSink;
use whatsapp_rust::{Client, InboundDurabilityHook};

use crate::conversions::inbound;

/// The engine's hook over the port's sink. An error keeps the whole batch unacknowledged: it comes again.
pub(crate) struct InboundHook(pub(crate) Arc<dyn InboundSink>);

#[async_trait]
impl InboundDurabilityHook for InboundHook {
    async fn on_messages(&self, _client: Arc<Client>, batch: &[EngineMessage]) -> anyhow::Result<()> {
        let messages: Vec<_> = batch.iter().filter_map(inbound).collect();
        if !messages.is_empty() {
            self.0.commit(messages).await?;
        }
        Ok(())
    }
}
