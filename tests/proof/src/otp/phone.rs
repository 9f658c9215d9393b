//! What visitors see on their phones.

use serde_json::Value;
use wharf_testkit::process::{ProcessError, Remote};

use super::record::Bubble;

/// Digits of every code: so many that no two codes of a run are the same by chance.
pub(super) const DIGITS: usize = 10;

/// What a phone shows, chat by chat.
pub(super) async fn bubbles(control: &Remote, phone: &str) -> Result<Vec<Bubble>, ProcessError> {
    let shown = control.get(&format!("/sandbox/api/phones/{phone}/chats")).await?;
    let chats = shown["data"].as_array().into_iter().flatten();
    let messages = chats.flat_map(|chat| chat["messages"].as_array().into_iter().flatten());
    let bubble = |message: &Value| Bubble {
        phone: phone.to_owned(),
        whatsapp_id: message["id"].as_str().unwrap_or_default().to_owned(),
        code: code_in(message["text"].as_str().unwrap_or_default()),
    };
    Ok(messages.map(bubble).collect())
}

/// The code in a text: it stands alone on a line.
pub(super) fn code_in(text: &str) -> Option<String> {
    let is_code = |line: &&str| line.len() == DIGITS && line.bytes().all(|byte| byte.is_ascii_digit());
    text.lines().find(is_code).map(str::to_owned)
}

/// A code that differs in every digit.
pub(super) fn other_than(code: &str) -> String {
    code.chars().map(|digit| if digit == '7' { '3' } else { '7' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_where_it_stands_alone() {
        let text = "Your verification code:\n\n0123456789\n\nValid for 10 min. Never share it with anyone.";
        assert_eq!(code_in(text).as_deref(), Some("0123456789"));
        assert_eq!(code_in("call 0123456789"), None);
        assert_eq!(other_than("0777777777"), "7333333333");
    }
}
