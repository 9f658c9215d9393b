//! The list of what is broken.

use std::time::Duration;

use serde_json::json;

use super::network::Rule;
use crate::drive::Dialect;

/// One fault, its load and its judgement.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What is broken.
    pub breaks: Breaks,
    /// Whether it belongs to the short run.
    pub short: bool,
}

/// What is broken.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Rules of the sandbox.
    Network(Vec<Rule>),
    /// Rules of the sandbox that take away what comes again on the next connection only; it follows.
    Losses(Vec<Rule>),
    /// The database server is stopped and started again.
    DatabaseStops,
    /// The database server is killed and recovers.
    DatabaseCrashes,
    /// Nothing more can be written: no room.
    FullDisk,
    /// Nothing more can be written: read-only.
    ReadOnlyDisk,
    /// The wall clock moves by so many seconds.
    ClockJumps {
        /// Before.
        from: i64,
        /// After.
        to: i64,
    },
}

/// See [`Fault`]; what it takes is this module's own affair.
#[derive(Clone, Debug)]
pub struct Breaks(pub(super) Fault);

/// How long what lasts lasts.
const WINDOW: Duration = Duration::from_secs(6);
const DAY: i64 = 24 * 60 * 60;

/// The scenarios of a dialect.
pub fn scenarios(dialect: Dialect, short: bool) -> Vec<Scenario> {
    let mut all = network();
    all.extend(match dialect {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => vec![
            scenario("the database is stopped and started", Fault::DatabaseStops, true),
            scenario("the database crashes and recovers", Fault::DatabaseCrashes, false),
        ],
    });
    all.push(scenario("the disk is full", Fault::FullDisk, true));
    all.push(scenario("the disk is read-only", Fault::ReadOnlyDisk, true));
    let jump = |name, from, to| scenario(name, Fault::ClockJumps { from, to }, false);
    all.push(jump("the clock jumps a day ahead", 0, DAY));
    all.push(jump("the clock jumps a day back", DAY, 0));
    all.retain(|scenario| scenario.short || !short);
    all
}

const fn scenario(name: &'static str, fault: Fault, short: bool) -> Scenario {
    Scenario {
        name,
        breaks: Breaks(fault),
        short,
    }
}

fn network() -> Vec<Scenario> {
    let ack = json!({ "tag": "ack", "attrs": { "class": "message" } });
    let message = json!("message");
    let rules = |name, rules: Vec<Rule>, short| scenario(name, Fault::Network(rules), short);
    let losses = |name, rules: Vec<Rule>| scenario(name, Fault::Losses(rules), false);
    vec![
        rules(
            "connections drop at messages",
            vec![
                Rule::at(
                    "from_client",
                    &message,
                    &json!({ "type": "drop_connection" }),
                    0.02,
                    WINDOW,
                ),
                Rule::at(
                    "to_client",
                    &message,
                    &json!({ "type": "drop_connection" }),
                    0.02,
                    WINDOW,
                ),
            ],
            true,
        ),
        rules(
            "acks are late",
            vec![Rule::at(
                "to_client",
                &ack,
                &json!({ "type": "delay", "ms": 1500 }),
                0.3,
                WINDOW,
            )],
            false,
        ),
        rules(
            "acks are lost",
            vec![Rule::at("to_client", &ack, &json!({ "type": "lose" }), 0.05, WINDOW)],
            true,
        ),
        losses(
            "messages and receipts are lost on the way in",
            vec![
                Rule::at("to_client", &message, &json!({ "type": "lose" }), 0.05, WINDOW),
                Rule::at("to_client", &json!("receipt"), &json!({ "type": "lose" }), 0.05, WINDOW),
            ],
        ),
        rules(
            "the server says 503",
            vec![Rule::now(&json!({ "type": "stream_error", "code": 503 })); 3],
            true,
        ),
        rules(
            "the server says 515",
            vec![Rule::now(&json!({ "type": "stream_error", "code": 515 })); 3],
            false,
        ),
        rules(
            "sockets are half open",
            vec![Rule::now(&json!({ "type": "half_open" }))],
            false,
        ),
        rules(
            "logins are refused with 503",
            vec![
                Rule::login(503, WINDOW),
                Rule::now(&json!({ "type": "drop_connection" })),
            ],
            false,
        ),
        rules(
            "connections are refused",
            vec![
                Rule::connection(WINDOW),
                Rule::now(&json!({ "type": "drop_connection" })),
            ],
            false,
        ),
    ]
}
