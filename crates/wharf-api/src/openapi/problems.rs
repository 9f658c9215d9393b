//! The problem answers, one for each status that the error table has.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Content, Ref};

use crate::error::catalogue;

/// The media type of every error.
const PROBLEM_JSON: &str = "application/problem+json";

/// The name of the shared answer with a status.
pub(super) fn name(status: u16) -> String {
    format!("Problem{status}")
}

/// One shared answer for each status, listing its codes.
pub(super) fn responses() -> BTreeMap<u16, Response> {
    let mut codes: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for entry in catalogue() {
        let line = format!("`{}`: {}", entry.code, entry.meaning);
        codes.entry(entry.status.as_u16()).or_default().push(line);
    }
    codes
        .into_iter()
        .map(|(status, lines)| (status, response(&lines)))
        .collect()
}

fn response(lines: &[String]) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(lines.join("\n\n"))
        .content(PROBLEM_JSON, content)
        .build()
}
