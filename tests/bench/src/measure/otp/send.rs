//! Codes accepted: verification, message, events and idempotency key, durable before the answer.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::Result;

use super::{Load, Stage};
use crate::gateway::link_up_to;
use crate::load::connection::Answer;
use crate::load::request::{NUMBER, Request};
use crate::load::rush::Script;
use crate::report::Section;
use crate::report::figure::{Target, Unit};

/// How many sessions share the codes.
pub const SESSIONS: usize = 16;
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// Codes to one new phone after the other.
struct Sends {
    request: Request,
    time: Duration,
    /// The last phone's number, and the last idempotency key.
    last: Cell<u64>,
    ids: RefCell<Vec<String>>,
}

impl Script for Sends {
    fn next(&self, elapsed: Duration) -> Option<Request> {
        if elapsed >= self.time {
            return None;
        }
        self.last.set(self.last.get() + 1);
        let mut request = self.request.clone();
        request.number(self.last.get());
        request.fill(self.last.get());
        Some(request)
    }

    fn heard(&self, answer: &Answer<'_>) -> Result<()> {
        answer.require(202)?;
        self.ids.borrow_mut().push(answer.field("id")?.to_owned());
        Ok(())
    }
}

/// The ids of the verifications that the last load made.
pub async fn measure(stage: &Stage<'_>, section: &mut Section) -> Result<Vec<String>> {
    link_up_to(stage.wharf, stage.sandbox, &mut Vec::new(), SESSIONS).await?;
    // The sandbox's own phones begin with 15550.
    let body = format!("{{\"phone\":\"+1556{NUMBER}\"}}");
    let (address, authorization) = (stage.wharf.address(), stage.wharf.authorization());
    let sends = Sends {
        request: Request::post_once(address, "/api/otp/send", Some(&authorization), &body),
        time: stage.bench.plan.load_for,
        last: Cell::new(0),
        ids: RefCell::default(),
    };
    for connections in CONNECTIONS {
        sends.ids.borrow_mut().clear();
        let load = Load {
            what: format!("codes accepted, {connections} connections"),
            connections,
            rate: (connections == 64).then_some(Target::AtLeast(Unit::PerSecond, 3000.0)),
            answered: None,
        };
        stage.show(load, &sends, section).await?;
    }
    Ok(sends.ids.into_inner())
}
