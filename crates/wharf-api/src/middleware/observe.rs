//! One log line and two metrics a request.

use std::time::Duration;

use axum::extract::Request;
use http::{Method, StatusCode};

use crate::context::RequestContext;

/// What the line says that is known before the request is served.
#[derive(Debug)]
pub(super) struct Line {
    method: &'static str,
    route: String,
}

impl Line {
    pub(super) fn of(request: &Request, route: String) -> Self {
        Self {
            method: method_name(request.method()),
            route,
        }
    }

    /// Writes the line and counts.
    pub(super) fn write(self, context: &RequestContext, status: StatusCode, took: Duration) {
        let key = context.key().map(|key| key.to_string()).unwrap_or_default();
        tracing::info!(
            request.id = context.id(),
            http.method = self.method,
            http.route = self.route,
            http.status = status.as_u16(),
            elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            api_key.id = key,
            "request served"
        );
        let class = format!("{}xx", status.as_u16() / 100);
        metrics::counter!("wharf_http_requests_total",
            "method" => self.method, "route" => self.route.clone(), "status_class" => class)
        .increment(1);
        metrics::histogram!("wharf_http_request_duration_seconds", "method" => self.method, "route" => self.route)
            .record(took.as_secs_f64());
    }
}

/// A caller may invent methods; labels must not follow him.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
