//! What every operation shares: problem answers, headers, both ways to bring a key. Said once here instead of at each.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, Required};
use utoipa::{PartialSchema, ToSchema};

use super::problems;
use crate::error::{FieldProblem, Problem};
use crate::scope::Scope;

/// Adds what is shared to a document that the router made.
pub(super) fn complete(mut openapi: OpenApi) -> OpenApi {
    let components = openapi.components.get_or_insert_with(Components::new);
    components
        .schemas
        .insert(Problem::name().into_owned(), Problem::schema());
    components
        .schemas
        .insert(FieldProblem::name().into_owned(), FieldProblem::schema());
    components.schemas.insert(Scope::name().into_owned(), Scope::schema());
    for (status, mut response) in problems::responses() {
        with_headers(&mut response, status);
        components.responses.insert(problems::name(status), response.into());
    }
    add_security(components);
    for (path, item) in &mut openapi.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(path, &method, operation);
        }
    }
    openapi
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
    .collect()
}

fn complete_operation(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let posts = *method == HttpMethod::Post;
    for status in shared_statuses(path, method, operation) {
        let reference = RefOr::Ref(Ref::from_response_name(problems::name(status)));
        operation.responses.responses.insert(status.to_string(), reference);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            let status = status.parse().unwrap_or_default();
            with_headers(response, status);
            if posts {
                let header = text_header("`true` when this is the answer of an earlier call with the same key");
                response
                    .headers
                    .insert("Idempotency-Replayed".to_owned(), header.into());
            }
        }
    }
    if posts {
        operation
            .parameters
            .get_or_insert_default()
            .push(idempotency_key().into());
    }
    either_key(operation);
}

/// The statuses of the error table that this operation can answer with.
fn shared_statuses(path: &str, method: &HttpMethod, operation: &Operation) -> Vec<u16> {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let is_in = |place: &ParameterIn| {
        let found = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(own) if own.parameter_in == *place);
        parameters.iter().any(found)
    };
    let has_body = matches!(method, HttpMethod::Post | HttpMethod::Put | HttpMethod::Patch);
    let mut statuses = vec![500, 503];
    if !path.ends_with('z') {
        statuses.push(429);
    }
    if operation.security.is_some() {
        statuses.extend([401, 403]);
    }
    if has_body {
        statuses.extend([400, 413, 415, 422]);
    }
    if *method == HttpMethod::Post {
        statuses.push(409);
    }
    if is_in(&ParameterIn::Query) || is_in(&ParameterIn::Header) {
        statuses.push(400);
    }
    if is_in(&ParameterIn::Path) {
        statuses.push(404);
    }
    // What an operation names beside its success is a problem as well.
    let named = operation
        .responses
        .responses
        .keys()
        .filter_map(|status| status.parse().ok());
    statuses.extend(named.filter(|status: &u16| *status >= 400));
    statuses
}

fn text_header(description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(description))
        .build()
}

fn with_headers(response: &mut Response, status: u16) {
    let mut add = |name: &str, description: &str| {
        response
            .headers
            .insert(name.to_owned(), text_header(description).into());
    };
    add("X-Request-Id", "What the log calls this request");
    add("RateLimit-Policy", "How many calls are allowed in which time");
    add("RateLimit", "How many are left and until when");
    if matches!(status, 429 | 503) {
        add("Retry-After", "How many seconds to wait");
    }
    if status == 401 {
        add("WWW-Authenticate", "How to authenticate");
    }
}

fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]([ -~]*[!-~])?$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The same key with the same request has one effect and one answer, for 24 hours.",
        ))
        .schema(Some(schema))
        .build()
}

/// Operations name the bearer scheme and their scope; the other header serves as well.
fn either_key(operation: &mut Operation) {
    let Some(security) = &mut operation.security else {
        return;
    };
    let scopes = security.iter().find_map(|requirement| {
        let value = serde_json::to_value(requirement).ok()?;
        serde_json::from_value::<Vec<String>>(value.get("bearer")?.clone()).ok()
    });
    if let Some(scopes) = scopes {
        security.push(SecurityRequirement::new("api_key", scopes));
    }
}

fn add_security(components: &mut Components) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("wharf_live_... or wharf_test_...")
        .description(Some(
            "An API key. The scope that a call needs stands beside it; `admin` holds every other.",
        ))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let header = ApiKeyValue::with_description("X-Api-Key", "The same API key in a header of its own.");
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(header)));
}
