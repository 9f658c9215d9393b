//! The page of all stable codes, `docs/errors.md`: made from the tables that the code itself uses, so that it cannot lie.

use std::fmt::{Error, Write};

use wharf_model::CloseReason;
use wharf_session::FailureCode;
use wharf_vault::VaultError;

use super::catalogue;

const HEAD: &str = "# Codes

Every code that Wharf answers with. Codes never change their meaning; new ones may come. This page is made by
`make errors`; a test keeps it current.

## Problems

Every error is a problem document (RFC 9457, `application/problem+json`) with one of these in `code`, a sentence in
`detail`, and the `request_id` under which the log knows it.

";

const FIELDS: &str = "
Problems about fields carry `errors`, a list of `{pointer, code, detail}`. `pointer` is a JSON pointer into the body, or
the name of a query parameter behind a slash.

Problems about one verification carry `verification_id`, `verification_status`, `attempts_remaining`, `sends_remaining`
and, in seconds, `next_send_in`, `next_check_in` and `expires_in`.

";

const MESSAGES: &str = "
## Messages

The `code` of a message that failed, expired or waits (`retry_at`), in the message, its timeline and its events.

";

const SESSIONS: &str = "
## Sessions

Why a session is not connected: `disconnect_reason` of a session, `reason` of its history and events. A session that was
closed for a lasting reason stays as it is until somebody acts; for any other it connects again on its own.

";

/// The codes of single fields.
const FIELD_CODES: [(&str, &str); 22] = [
    ("required", "The field is missing."),
    ("unknown_field", "There is no such field."),
    ("duplicate_field", "The field stands there twice."),
    ("invalid_type", "Another JSON type is needed."),
    ("unknown_value", "The value is none of those that exist."),
    ("invalid_value", "The value cannot be read."),
    ("invalid_length", "Too short, too long, too few or too many."),
    ("invalid_character", "The text holds a character that it must not."),
    ("out_of_range", "Too small or too large."),
    ("too_large", "More bytes than allowed."),
    ("contradiction", "The values do not fit together."),
    ("invalid_recipient", "Neither a phone number in E.164 nor a jid."),
    ("invalid_phone", "No phone number in E.164."),
    ("invalid_address", "Neither an IP address nor a CIDR range."),
    ("in_the_past", "The time has passed."),
    ("unknown_session", "No session of this workspace has this id."),
    ("unknown_plan", "No plan of this workspace has this id."),
    ("no_overlap", "No text works that the key had before its last rotation."),
    ("missing_code", "The text does not hold `{{code}}`."),
    ("repeated_code", "The text holds `{{code}}` more than once."),
    (
        "code_not_on_its_own_line",
        "Something else stands on the line of `{{code}}`.",
    ),
    (
        "unknown_placeholder",
        "What stands between `{{` and `}}` is neither `code` nor `minutes`.",
    ),
];

/// The page as Markdown.
///
/// # Errors
/// Never in practice: text is written to memory.
pub fn reference() -> Result<String, Error> {
    let mut page = HEAD.to_owned();
    page.push_str("| code | status | meaning |\n|---|---|---|\n");
    for entry in catalogue() {
        writeln!(
            page,
            "| `{}` | {} | {} |",
            entry.code,
            entry.status.as_u16(),
            entry.meaning
        )?;
    }
    page.push_str(FIELDS);
    page.push_str("| code of a field | meaning |\n|---|---|\n");
    for (code, meaning) in FIELD_CODES.into_iter().chain(VaultError::CODES) {
        writeln!(page, "| `{code}` | {meaning} |")?;
    }
    page.push_str(MESSAGES);
    page.push_str("| code | meaning |\n|---|---|\n");
    for code in FailureCode::ALL {
        writeln!(page, "| `{}` | {} |", name_of(code), code.meaning())?;
    }
    page.push_str(SESSIONS);
    page.push_str("| code | lasting | meaning |\n|---|---|---|\n");
    for reason in CloseReason::ALL {
        let lasting = if reason.is_permanent() { "yes" } else { "no" };
        writeln!(page, "| `{}` | {lasting} | {} |", reason.code(), reason.sentence())?;
    }
    Ok(page)
}

fn name_of(code: FailureCode) -> String {
    match code {
        FailureCode::Rejected(_) => "rejected_<code>".to_owned(),
        other => other.to_string(),
    }
}
