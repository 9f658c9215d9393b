//! What is known of the request that is being served: its id, where it comes from, who sends it, how much of a rate it
//! used. Made by the outermost middleware, filled on the way in, read on the way out.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wharf_model::ApiKeyId;

use crate::limit::RateReport;

tokio::task_local! {
    /// Problem documents are made where no request is at hand; everything else uses the request's extension.
    static CURRENT: Arc<RequestContext>;
}

/// One request.
#[derive(Debug)]
pub(crate) struct RequestContext {
    id: String,
    address: IpAddr,
    key: OnceLock<ApiKeyId>,
    rate: Mutex<Vec<RateReport>>,
}

impl RequestContext {
    pub(crate) fn new(id: String, address: IpAddr) -> Arc<Self> {
        Arc::new(Self {
            id,
            address,
            key: OnceLock::new(),
            rate: Mutex::new(Vec::new()),
        })
    }

    /// What the answer and the log call it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Where it comes from, proxies seen through.
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }

    /// The key that it was sent with, once known.
    pub(crate) fn key(&self) -> Option<ApiKeyId> {
        self.key.get().copied()
    }

    pub(crate) fn set_key(&self, key: ApiKeyId) {
        // A request is authenticated once; a second word about it would be the same.
        let _ = self.key.set(key);
    }

    /// Notes what a limiter said, for the answer's headers.
    pub(crate) fn add_rate(&self, report: RateReport) {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }

    pub(crate) fn rates(&self) -> Vec<RateReport> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves a request within this context.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, serve: F) -> F::Output {
        CURRENT.scope(self, serve).await
    }
}

/// The address and the id of the request that this task serves.
pub(crate) fn current_origin() -> (Option<String>, Option<String>) {
    let origin = CURRENT.try_with(|context| (Some(context.address.to_string()), Some(context.id.clone())));
    origin.unwrap_or_default()
}

/// Notes a limit that was met where no request is at hand, for the answer's headers.
pub(crate) fn note_current_rate(report: RateReport) {
    // Outside of a request there is no answer.
    let _ = CURRENT.try_with(|context| context.add_rate(report));
}

/// The id of the request that this task serves; empty outside of one.
pub(crate) fn current_request_id() -> String {
    CURRENT.try_with(|context| context.id.clone()).unwrap_or_default()
}
