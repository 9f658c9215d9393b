//! `types=message.*,session.status`

use wharf_model::EventKind;

use crate::error::{ApiError, FieldProblem};

/// The kinds that a list of types names; none for all.
pub(super) fn kinds_of(types: &str) -> Result<Vec<EventKind>, ApiError> {
    let mut kinds = Vec::new();
    for wanted in types.split(',').map(str::trim).filter(|wanted| !wanted.is_empty()) {
        let named: Vec<EventKind> = match wanted.strip_suffix(".*") {
            Some(group) => EventKind::ALL.into_iter().filter(|kind| is_in(*kind, group)).collect(),
            None => wanted.parse().into_iter().collect(),
        };
        if named.is_empty() {
            return Err(unknown());
        }
        kinds.extend(named);
    }
    Ok(kinds)
}

fn is_in(kind: EventKind, group: &str) -> bool {
    kind.as_str().split_once('.').is_some_and(|(of, _)| of == group)
}

fn unknown() -> ApiError {
    ApiError::InvalidQuery(vec![FieldProblem::new(
        "/types",
        "unknown_value",
        "Expected event types such as `message.sent`, or groups such as `message.*`.",
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_types_name_kinds() {
        assert_eq!(kinds_of("").unwrap(), []);
        assert_eq!(kinds_of("session.status").unwrap(), [EventKind::SessionStatus]);
        assert_eq!(kinds_of("message.*,session.qr").unwrap().len(), 8);
        for wrong in ["*", "nope.*", "message", "message.sent,,x", "message.**"] {
            assert!(kinds_of(wrong).is_err(), "{wrong}");
        }
    }
}
