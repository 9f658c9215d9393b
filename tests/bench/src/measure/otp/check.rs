//! Codes checked: right ones once each, and wrong ones until no try is left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wharf_testkit::process::{PATIENCE, Sandbox, until};

use super::{ATTEMPTS, Calls, Load, Stage, code_for};
use crate::load::connection::Answer;
use crate::load::request::Request;
use crate::load::rush::{Script, rush};
use crate::report::Section;
use crate::report::figure::{Target, Unit};

const CONNECTIONS: usize = 64;
/// A digit longer than every code that is sent: it is never right, not even by chance.
const WRONG: &str = "0000000";

/// Checks verifications whose codes are known, each once.
pub async fn approvals(stage: &Stage<'_>, readers: &[String], section: &mut Section) -> Result<()> {
    let sent = send_codes(stage, readers).await?;
    let codes = codes_shown(stage.sandbox, readers, sent.len()).await?;
    let (api, mut requests) = (stage.wharf.process().api(), Vec::with_capacity(sent.len()));
    for SentCode { id, message } in &sent {
        let message = api.get(&format!("/api/messages/{message}")).await?;
        let wire_id = message["whatsapp_message_id"].as_str();
        let wire_id = wire_id.context("a message without its id")?;
        let code = codes.get(wire_id).context("no phone shows this code")?;
        requests.push(stage.check(id, code));
    }
    let load = Load {
        what: format!("codes approved, {CONNECTIONS} connections"),
        connections: CONNECTIONS,
        rate: Some(Target::AtLeast(Unit::PerSecond, 5000.0)),
        answered: Some(Target::SecondAtMost(Unit::Seconds, 0.020)),
    };
    stage.show(load, &Calls::new(requests, 1, 200), section).await
}

/// Checks some of these verifications with wrong codes, round by round, until none takes any more.
pub async fn wrong(stage: &Stage<'_>, ids: &[String], section: &mut Section) -> Result<()> {
    let wanted = stage.bench.plan.verifications;
    let requests: Vec<_> = ids.iter().take(wanted).map(|id| stage.check(id, WRONG)).collect();
    ensure!(requests.len() == wanted, "fewer than {wanted} codes were sent");
    let load = Load {
        what: format!("wrong codes refused, {CONNECTIONS} connections"),
        connections: CONNECTIONS,
        rate: None,
        answered: None,
    };
    stage.show(load, &Calls::new(requests, ATTEMPTS, 422), section).await
}

/// A verification and the message with its code.
struct SentCode {
    id: String,
    message: String,
}

/// Sends codes and keeps what came of them.
struct Codes {
    calls: Calls,
    sent: RefCell<Vec<SentCode>>,
}

impl Script for Codes {
    fn next(&self, elapsed: Duration) -> Option<Request> {
        self.calls.next(elapsed)
    }

    fn heard(&self, answer: &Answer<'_>) -> Result<()> {
        self.calls.heard(answer)?;
        self.sent.borrow_mut().push(SentCode {
            id: answer.field("id")?.to_owned(),
            message: answer.field("message_id")?.to_owned(),
        });
        Ok(())
    }
}

async fn send_codes(stage: &Stage<'_>, readers: &[String]) -> Result<Vec<SentCode>> {
    let numbered = readers.iter().cycle().zip(0..stage.bench.plan.verifications);
    let request = |(phone, number): (&String, usize)| code_for(stage.wharf, phone, &format!("check-{number}"));
    let codes = Codes {
        calls: Calls::new(numbered.map(request).collect(), 1, 202),
        sent: RefCell::default(),
    };
    rush(stage.wharf.address(), CONNECTIONS, &codes).await?;
    Ok(codes.sent.into_inner())
}

/// Waits until the phones show so many codes; each under WhatsApp's id of its message.
async fn codes_shown(sandbox: &Sandbox, phones: &[String], count: usize) -> Result<HashMap<String, String>> {
    let shown = until("every code is shown", PATIENCE, || async {
        let mut codes = HashMap::<String, String>::new();
        for phone in phones {
            let path = format!("/sandbox/api/phones/{phone}/chats");
            codes.extend(codes_of(&sandbox.control().get(&path).await?));
        }
        Ok((codes.len() >= count).then_some(codes))
    });
    Ok(shown.await?)
}

/// The codes in a phone's chats; a code stands alone on a line.
fn codes_of(chats: &Value) -> HashMap<String, String> {
    let chats = chats["data"].as_array().into_iter().flatten();
    let messages = chats.flat_map(|chat| chat["messages"].as_array().into_iter().flatten());
    let code = |message: &Value| {
        let mut lines = message["text"].as_str()?.lines();
        let code = lines.find(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some((message["id"].as_str()?.to_owned(), code.to_owned()))
    };
    messages.filter_map(code).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_code_is_the_line_of_digits() {
        let said = |id: &str, text: &str| json!({ "id": id, "text": text });
        let messages = [
            said("A", "Your verification code:\n\n004217\n\nValid for 10 min."),
            said("B", "no code, but 10 min"),
        ];
        let codes = codes_of(&json!({ "data": [{ "messages": messages }] }));
        assert_eq!(codes, HashMap::from([("A".to_owned(), "004217".to_owned())]));
    }
}
