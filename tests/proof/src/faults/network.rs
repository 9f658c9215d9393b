//! Faults of the network: rules of the sandbox, for the sessions' accounts alone where a rule can name one.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::scene::Scene;
use crate::drive::now;
use crate::recording::FaultLine;

/// How long a rule that fires at once may take to be seen.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A rule of the sandbox.
#[derive(Clone, Debug)]
pub struct Rule {
    body: Value,
    lasts: Duration,
    refuses_logins: bool,
    /// Whether it can be limited to accounts.
    names_accounts: bool,
}

impl Rule {
    /// At stanzas, with this probability, for this long.
    pub fn at(direction: &str, stanza: &Value, action: &Value, probability: f64, lasts: Duration) -> Self {
        Self {
            body: json!({
                "match": { "direction": direction, "stanza": stanza }, "action": action,
                "probability": probability, "lasts_ms": millis(lasts),
            }),
            lasts,
            refuses_logins: false,
            names_accounts: true,
        }
    }

    /// On every open connection, at once.
    pub fn now(action: &Value) -> Self {
        Self {
            body: json!({ "match": {}, "action": action, "now": true }),
            lasts: AT_ONCE,
            refuses_logins: false,
            names_accounts: true,
        }
    }

    /// Logins are refused.
    pub fn login(code: u16, lasts: Duration) -> Self {
        Self {
            body: json!({
                "match": {}, "action": { "type": "refuse_login", "code": code }, "lasts_ms": millis(lasts),
            }),
            lasts,
            refuses_logins: true,
            names_accounts: true,
        }
    }

    /// Connections are refused, whosever they are.
    pub fn connection(lasts: Duration) -> Self {
        Self {
            body: json!({ "action": { "type": "refuse_connection" }, "lasts_ms": millis(lasts) }),
            lasts,
            refuses_logins: false,
            names_accounts: false,
        }
    }

    fn is_at_once(&self) -> bool {
        self.body["now"] == true
    }

    /// The rule once for each account, or once for all; each with its own series of draws.
    fn bodies(&self, accounts: &[String], seed: u64) -> Vec<Value> {
        if !self.names_accounts {
            return vec![self.body.clone()];
        }
        let each = accounts.iter().enumerate().map(|(number, account)| {
            let mut body = self.body.clone();
            body["match"]["account"] = json!(account);
            if body["probability"].is_number() {
                body["seed"] = json!(seed.wrapping_add(number as u64));
            }
            body
        });
        each.collect()
    }
}

impl Scene {
    /// Rules that last are in force together; those that end every connection at once come one after the other, each
    /// when everybody is back from the one before.
    pub(super) async fn break_the_network(&mut self, rules: &[Rule]) -> Result<()> {
        let mut open = Vec::new();
        for rule in rules.iter().filter(|rule| !rule.is_at_once()) {
            open.push(self.place(rule).await?);
        }
        for rule in rules.iter().filter(|rule| rule.is_at_once()) {
            let began = self.begin("every connection is broken");
            let before = self.logins();
            let placed = self.place(rule).await?;
            self.work_for(AT_ONCE).await?;
            self.take_away(placed).await?;
            if open.is_empty() {
                self.logged_in_again(&before, &began).await?;
            }
        }
        if let Some(until) = open.iter().map(|placed| placed.until).max() {
            self.work_for(until.saturating_duration_since(Instant::now())).await?;
        }
        for placed in open {
            self.take_away(placed).await?;
        }
        Ok(())
    }

    async fn place(&self, rule: &Rule) -> Result<Placed> {
        let accounts: Vec<String> = self
            .stage
            .sessions
            .iter()
            .map(|session| session.device.phone.clone())
            .collect();
        let from = now();
        let mut ids = Vec::new();
        for body in rule.bodies(&accounts, self.seed) {
            let made = self.stage.sandbox.control().post("/sandbox/api/faults", &body).await?;
            ids.push(made["id"].as_u64().context("a fault without a number")?);
        }
        Ok(Placed {
            what: rule.body["action"].to_string(),
            ids,
            from,
            until: Instant::now() + rule.lasts,
            refuses_logins: rule.refuses_logins,
        })
    }

    async fn take_away(&self, placed: Placed) -> Result<()> {
        let control = self.stage.sandbox.control();
        let mut fired = 0;
        for id in placed.ids {
            let path = format!("/sandbox/api/faults/{id}");
            fired += control.get(&path).await?["fired"].as_u64().unwrap_or_default();
            control.delete(&path).await?;
        }
        self.stage.recorder.fault(FaultLine {
            what: placed.what,
            from: placed.from,
            until: now(),
            refuses_logins: placed.refuses_logins,
            fired,
        });
        Ok(())
    }
}

/// Rules that are in force.
struct Placed {
    what: String,
    ids: Vec<u64>,
    from: u64,
    until: Instant,
    refuses_logins: bool,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
