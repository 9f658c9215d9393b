//! What serde and garde say of a body, as faults of single fields.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::strict::Unique;
use crate::error::{ApiError, FieldProblem, Pointer, pointer_of};

/// Reads JSON in two steps: first that it is JSON at all (400), then that it is a `T` (422, with a pointer).
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let json: Unique = serde_path_to_error::deserialize(&mut reader).map_err(|error| field_fault(&error))?;
    reader.end().map_err(|error| malformed(&error))?;
    serde_path_to_error::deserialize(json.into_strict()).map_err(|error| field_fault(&error))
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::MalformedJson {
        line: error.line(),
        column: error.column(),
    }
}

fn field_fault(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() {
        return malformed(inner);
    }
    let text = inner.to_string();
    // serde_json adds the place in the bytes, which the pointer says better.
    let detail = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let pointer = pointer(error.path(), &detail);
    ApiError::ValidationFailed(vec![FieldProblem::new(pointer, code_of(&detail), detail)])
}

/// The wording is serde's own and stable since its first release; only these starts are relied on.
fn code_of(detail: &str) -> &'static str {
    match detail {
        text if text.starts_with("unknown field") => "unknown_field",
        text if text.starts_with("missing field") => "required",
        text if text.starts_with("duplicate field") => "duplicate_field",
        text if text.starts_with("unknown variant") => "unknown_value",
        text if text.starts_with("invalid type") => "invalid_type",
        _ => "invalid_value",
    }
}

fn pointer(path: &Path, detail: &str) -> Pointer {
    let found = path.iter().fold(Pointer::default(), |pointer, segment| match segment {
        Segment::Seq { index } => pointer.join(&index.to_string()),
        Segment::Map { key } => pointer.join(key),
        Segment::Enum { variant } => pointer.join(variant),
        Segment::Unknown => pointer,
    });
    match named_field(detail) {
        Some(field) => found.join(field),
        None => found,
    }
}

/// serde names a missing or repeated field in its text only.
fn named_field(detail: &str) -> Option<&str> {
    let named = detail
        .strip_prefix("missing field `")
        .or_else(|| detail.strip_prefix("duplicate field `"));
    named?.strip_suffix('`')
}

/// Faults that `garde` found. Rules of ours write `code|detail`.
pub(super) fn of_report(report: &garde::Report) -> ApiError {
    let faults = report.iter().map(|(path, error)| {
        let (code, detail) = error
            .message()
            .split_once('|')
            .unwrap_or(("invalid_value", error.message()));
        FieldProblem::new(pointer_of(&path.to_string()), code, detail)
    });
    ApiError::ValidationFailed(faults.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read by serde")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read by serde")]
        name: String,
    }

    fn fault(json: &str) -> (String, String) {
        match parse::<Outer>(json.as_bytes()).unwrap_err() {
            ApiError::ValidationFailed(faults) => (faults[0].pointer.clone(), faults[0].code.clone()),
            other => (String::new(), other.code().entry().code.to_owned()),
        }
    }

    #[test]
    fn a_fault_is_pointed_at() {
        for (json, pointer, code) in [
            (r#"{"inner": [{"name": 1}]}"#, "/inner/0/name", "invalid_type"),
            (r#"{"inner": [{"name": "a"}, {}]}"#, "/inner/1/name", "required"),
            (r#"{"inner": [], "x": 1}"#, "/x", "unknown_field"),
            (r#"{"inner": [], "inner": []}"#, "/inner", "duplicate_field"),
            (r#"[]"#, "", "invalid_type"),
            (r#"[[]]"#, "", "invalid_type"),
            (r#"{"inner": [["a"]]}"#, "/inner/0", "invalid_type"),
            (
                r#"{"inner": [{"name": "a", "name": "b"}]}"#,
                "/inner/0/name",
                "duplicate_field",
            ),
            (r#"{"inner": "#, "", "malformed_json"),
            (r#"{"inner": []} x"#, "", "malformed_json"),
            (r#"{"inner": [{"name": "\ud800"}]}"#, "", "malformed_json"),
            ("\u{0}", "", "malformed_json"),
        ] {
            assert_eq!(fault(json), (pointer.to_owned(), code.to_owned()), "{json}");
        }
    }
}
