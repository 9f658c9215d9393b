//! The OpenAPI document of the control API: made from the router, completed here with what every call shares.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{Components, OpenApi, Ref};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::problem::ProblemBody;

/// What the document says beside its calls.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(
        title = "Wharf sandbox",
        description = "A simulated WhatsApp network on loopback: what people do with phones, and what happens to a network.\n\n\
            Phones are named by number. Requests must name a loopback host. Unknown fields in a request are an error.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This sandbox")),
    tags(
        (name = "Phones", description = "Accounts and their phones"),
        (name = "Linking", description = "Companions come and go"),
        (name = "Messages", description = "What phones say and show"),
        (name = "Groups", description = "Groups and their members"),
        (name = "Faults", description = "What goes wrong, as rules"),
        (name = "Network", description = "What the network saw, and how it is")
    )
)]
pub(super) struct Base;

/// Adds what every call may answer.
pub(super) fn complete(mut openapi: OpenApi) -> OpenApi {
    let components = openapi.components.get_or_insert_with(Components::new);
    components
        .schemas
        .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    for operation in openapi.paths.paths.values_mut().flat_map(operations) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name())));
        let problem = ResponseBuilder::new()
            .description("Why not; `code` is stable")
            .content("application/problem+json", content.build());
        let responses = &mut operation.responses.responses;
        responses.insert("default".to_owned(), problem.build().into());
    }
    openapi
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}
