//! Owns the OpenAPI document: made from the router, completed here with what every operation shares. Promises the same
//! bytes at every run; the committed `openapi.json` is compared with them.

mod complete;
mod problems;

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

/// What the document says beside its operations.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(
        title = "Wharf",
        description = "Links WhatsApp accounts, keeps them connected, and gives applications one dependable API.\n\n\
            Times are RFC 3339 in UTC with milliseconds. Unknown fields in a request are an error; new fields in an \
            answer are not a breaking change. Every POST takes `Idempotency-Key`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Sessions", description = "Linked WhatsApp accounts"),
        (name = "Vault", description = "Session strings that are kept here"),
        (name = "Messages", description = "What is sent and received"),
        (name = "One-time passwords", description = "Codes that are sent to a phone, checked and used once"),
        (name = "Events", description = "What happened, in order"),
        (name = "API keys", description = "Who may call"),
        (name = "Plans", description = "How much each API key may use, and has used"),
        (name = "Operations", description = "How the server is")
    )
)]
struct Base;

/// The document, without a server.
pub fn openapi() -> OpenApi {
    complete::complete(crate::router::api_routes(Base::openapi()).into_openapi())
}

/// The document as it is committed and served.
///
/// # Errors
/// What serde says; the document is plain data, so nothing is expected.
pub fn document() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&openapi()).map(|text| text + "\n")
}
