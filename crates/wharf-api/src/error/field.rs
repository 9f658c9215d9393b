//! Faults of single fields, pointed at by JSON pointer (RFC 6901).

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// One fault of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer to the field; for a query parameter a pointer of its name.
    #[schema(example = "/to")]
    pub pointer: String,
    /// Stable code of the fault.
    #[schema(example = "invalid_recipient")]
    pub code: String,
    /// What is wrong, in a sentence.
    pub detail: String,
}

impl FieldProblem {
    /// A fault at a pointer.
    pub fn new(pointer: impl fmt::Display, code: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_string(),
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// A JSON pointer under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The pointer to a member of what this points at.
    #[must_use]
    pub fn join(mut self, member: &str) -> Self {
        self.0.push('/');
        self.0.push_str(&member.replace('~', "~0").replace('/', "~1"));
        self
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pointer of a path as `garde` writes it: `messages[3].to`.
pub(crate) fn pointer_of(path: &str) -> Pointer {
    path.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .fold(Pointer::default(), Pointer::join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_pointer() {
        assert_eq!(pointer_of("messages[3].text.body").to_string(), "/messages/3/text/body");
        assert_eq!(pointer_of("").to_string(), "");
    }

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(Pointer::default().join("a/b~c").to_string(), "/a~1b~0c");
    }
}
