//! (d) How fast messages reach WhatsApp's server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use wharf_testkit::process::Sandbox;

use super::{Bench, tell};
use crate::delay::{self, Delay};
use crate::gateway::{Chats, Gateway, link_up_to};
use crate::load::caller::{send_for, warm_up};
use crate::load::spread::Spread;
use crate::processor::{Processes, Share};
use crate::report::figure::{Figure, Target, Unit};
use crate::report::{Row, Section, Use};
use crate::stanzas::StanzaLog;

/// Chats that one caller takes turns with.
const CHATS: usize = 16;
/// Half of the 20 ms.
const EACH_WAY: Duration = Duration::from_millis(10);

/// One load: how many callers, through how many sessions, how far from the sandbox.
#[derive(Clone, Copy)]
struct Load {
    what: &'static str,
    sessions: Sessions,
    callers: usize,
    far: bool,
    target: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sessions {
    One,
    /// A session for each caller.
    Many,
}

const LOADS: [Load; 7] = [
    Load {
        what: "one session, one by one",
        sessions: Sessions::One,
        callers: 1,
        far: false,
        target: Some(1200.0),
    },
    Load {
        what: "one session, 16 in flight",
        sessions: Sessions::One,
        callers: 16,
        far: false,
        target: Some(2000.0),
    },
    Load {
        what: "one session, 64 in flight",
        sessions: Sessions::One,
        callers: 64,
        far: false,
        target: None,
    },
    Load {
        what: "many sessions, one in flight each",
        sessions: Sessions::Many,
        callers: 0,
        far: false,
        target: Some(2500.0),
    },
    Load {
        what: "20 ms away, one session, one by one",
        sessions: Sessions::One,
        callers: 1,
        far: true,
        target: None,
    },
    Load {
        what: "20 ms away, one session, 16 in flight",
        sessions: Sessions::One,
        callers: 16,
        far: true,
        target: Some(1500.0),
    },
    Load {
        what: "20 ms away, one session, 64 in flight",
        sessions: Sessions::One,
        callers: 64,
        far: true,
        target: None,
    },
];

/// What one load did.
struct Outcome {
    per_second: f64,
    to_wire: Spread,
    to_ack: Spread,
    shares: Vec<Share>,
}

pub async fn measure(bench: &Bench) -> Result<Section> {
    let sandbox = bench.start_logging_sandbox().await?;
    let mut recipients = Vec::new();
    for number in 0..bench.plan.many.max(64) {
        recipients.push(sandbox.create_phone(&format!("recipient-{number}")).await?);
    }
    let round_trip = delay::round_trip(EACH_WAY)?;
    let far = far_url(&sandbox)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (name, url, is_far) in [("near", &sandbox.chat_url, false), ("far", &far, true)] {
        let wharf = bench.start_wharf(&format!("sending-{name}"), url).await?;
        ours.extend(loads(bench, &wharf, &sandbox, &recipients, is_far).await?);
        wharf.stop().await?;
        let baileys = bench
            .start_baileys(&format!("sending-{name}-baileys"), &sandbox, url)
            .await?;
        theirs.extend(loads(bench, &baileys, &sandbox, &recipients, is_far).await?);
        baileys.stop().await?;
    }
    sandbox.stop().await?;
    Ok(section(bench, &ours, &theirs, round_trip))
}

async fn loads<G: Gateway>(
    bench: &Bench,
    gateway: &G,
    sandbox: &Sandbox,
    recipients: &[String],
    far: bool,
) -> Result<Vec<Outcome>> {
    let (mut sessions, mut outcomes, mut log) = (Vec::new(), Vec::new(), StanzaLog::of(sandbox));
    for load in LOADS.iter().filter(|load| load.far == far) {
        let wanted = if load.sessions == Sessions::One {
            1
        } else {
            bench.plan.many
        };
        link_up_to(gateway, sandbox, &mut sessions, wanted).await?;
        let lists = lists(load, &sessions, recipients);
        let mut callers = gateway.callers(&lists).await?;
        warm_up(&mut callers).await?;
        log.skip().await?;
        let processes = Processes::new()
            .and("gateway", || Ok(gateway.usage()?.cpu))
            .and("sandbox", || Ok(sandbox.usage()?.cpu));
        let (sent, shares) = processes.during(send_for(&mut callers, bench.plan.load_for)).await?;
        tell(&format!("(d) {}: {}: {:.0} /s", G::NAME, load.what, sent.per_second()));
        outcomes.push(Outcome {
            per_second: sent.per_second(),
            to_wire: log.times_to_wire(&sent.messages).await?,
            to_ack: sent.to_ack(),
            shares,
        });
    }
    Ok(outcomes)
}

/// A single caller goes round its chats; of many, each has one.
fn lists<'a>(load: &Load, sessions: &'a [String], recipients: &'a [String]) -> Vec<Chats<'a>> {
    match (load.sessions, load.callers) {
        (Sessions::Many, _) => {
            let pairs = sessions.iter().zip(recipients.chunks(1));
            pairs.map(|(session, phones)| Chats { session, phones }).collect()
        }
        (Sessions::One, 1) => vec![Chats {
            session: &sessions[0],
            phones: &recipients[..CHATS],
        }],
        (Sessions::One, callers) => {
            let phones = recipients.chunks(1).take(callers);
            let session = &sessions[0];
            phones.map(|phones| Chats { session, phones }).collect()
        }
    }
}

/// The address of a proxy in front of the sandbox, with the sandbox's path.
fn far_url(sandbox: &Sandbox) -> Result<String> {
    let rest = sandbox
        .chat_url
        .strip_prefix("ws://")
        .context("the sandbox's address is no ws://")?;
    let (host, path) = rest.split_once('/').context("the sandbox's address has no path")?;
    let target: SocketAddr = host.parse()?;
    let delay = Delay::in_front_of(target, EACH_WAY)?;
    Ok(format!("ws://{}/{path}", delay.address))
}

fn section(bench: &Bench, ours: &[Outcome], theirs: &[Outcome], round_trip: f64) -> Section {
    let mut section = Section {
        title: "(d) Sending",
        method: format!(
            "Messages a second from the API call to the server's acknowledgement, {} s each. Every caller calls, waits for \
             the acknowledgement (Wharf: the `message.sent` event on the event stream, or the one of a receipt that overtook it; Baileys: the answer of the call) and \
             calls again, so that as many are in flight as there are callers; `many` is {} sessions. To the wire: from the \
             request to the arrival of its stanza at the sandbox. p50 / p99. `20 ms away` puts a delaying proxy between \
             gateway and sandbox, {:.1} ms there and back as measured: N in flight cannot pass N / {:.1} ms.",
            bench.plan.load_for.as_secs(),
            bench.plan.many,
            round_trip * 1000.0,
            round_trip * 1000.0
        ),
        rows: Vec::new(),
        uses: Vec::new(),
    };
    for ((load, ours), theirs) in LOADS.iter().zip(ours).zip(theirs) {
        let rate = |outcome: &Outcome| Figure::new(Unit::PerSecond, outcome.per_second);
        let times = |spread: &Spread| Figure::pair(Unit::Seconds, spread.percentile(50), spread.percentile(99));
        let target = load.target.map(|bound| Target::AtLeast(Unit::PerSecond, bound));
        section.rows.extend([
            Row::wharf(load.what, rate(ours))
                .beside(Some(rate(theirs)))
                .target(target),
            Row::wharf("… to the wire", times(&ours.to_wire)).beside(Some(times(&theirs.to_wire))),
            Row::wharf("… to the acknowledgement", times(&ours.to_ack)).beside(Some(times(&theirs.to_ack))),
        ]);
        for (gateway, outcome) in [("Wharf", ours), ("Baileys", theirs)] {
            section.uses.push(Use {
                what: format!("{gateway}: {}", load.what),
                messages: outcome.to_ack.len(),
                shares: outcome.shares.clone(),
            });
        }
    }
    section
}
