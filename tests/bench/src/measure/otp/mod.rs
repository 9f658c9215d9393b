//! (f) One-time passwords: how fast codes are accepted and checked, and how soon one leaves behind a campaign. And how long the
//! check of an API key takes, with which their calls begin.

mod check;
mod keys;
mod send;
mod timing;
mod wire;

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use wharf_model::PacingPolicy;
use wharf_testkit::process::{Sandbox, WharfOptions};

use super::{Bench, tell};
use crate::gateway::{Gateway, Wharf, link_up_to};
use crate::load::connection::Answer;
use crate::load::request::Request;
use crate::load::rush::{Rush, Script, rush};
use crate::processor::Processes;
use crate::report::figure::{Figure, Target, Unit};
use crate::report::{Row, Section, Use};

/// How many codes may be tried: the most that `otp.attempts` takes.
const ATTEMPTS: usize = 10;
/// Phones, each a chat, that get the codes to be approved and the messages of the campaign.
const READERS: usize = 64;

pub async fn measure(bench: &Bench) -> Result<Section> {
    let sandbox = bench.start_logging_sandbox().await?;
    let mut section = Section {
        title: "(f) One-time passwords, and the check of API keys",
        method: method(bench),
        rows: Vec::new(),
        uses: Vec::new(),
    };
    paced(bench, &sandbox, &mut section).await?;
    opened(bench, &sandbox, &mut section).await?;
    sandbox.stop().await?;
    if let Some(program) = &bench.timing {
        section.rows.push(timing::measure(program).await?);
    }
    section.rows.extend(keys::measure(bench.folder.join("keys")).await?);
    Ok(section)
}

/// With pacing as it is by default: hardly anything leaves meanwhile.
async fn paced(bench: &Bench, sandbox: &Sandbox, section: &mut Section) -> Result<()> {
    let wharf = Wharf::start_with(options(bench, "otp-paced", sandbox)).await?;
    let stage = Stage {
        bench,
        wharf: &wharf,
        sandbox,
    };
    let ids = send::measure(&stage, section).await?;
    check::wrong(&stage, &ids, section).await?;
    wharf.stop().await
}

/// With pacing opened.
async fn opened(bench: &Bench, sandbox: &Sandbox, section: &mut Section) -> Result<()> {
    let options = options(bench, "otp-opened", sandbox).set("WHARF_PACING__UNSAFE_OPEN", "true");
    let (wharf, mut sessions) = (Wharf::start_with(options).await?, Vec::new());
    link_up_to(&wharf, sandbox, &mut sessions, 1).await?;
    let session = sessions.pop().context("no session was linked")?;
    let readers = phones(sandbox, "reader", READERS).await?;
    let stage = Stage {
        bench,
        wharf: &wharf,
        sandbox,
    };
    check::approvals(&stage, &readers, section).await?;
    let linked = wire::Linked {
        wharf,
        session,
        readers,
    };
    section.rows.extend(wire::measure(bench, sandbox, linked).await?);
    Ok(())
}

/// What a load runs on.
struct Stage<'a> {
    bench: &'a Bench,
    wharf: &'a Wharf,
    sandbox: &'a Sandbox,
}

/// How a load is shown, and what it should come to.
struct Load {
    what: String,
    connections: usize,
    rate: Option<Target>,
    answered: Option<Target>,
}

impl Stage<'_> {
    /// Carries a script out, and shows how fast it was answered.
    async fn show(&self, load: Load, script: &impl Script, section: &mut Section) -> Result<()> {
        let Load {
            what,
            connections,
            rate,
            answered,
        } = load;
        let processes = Processes::new()
            .and("wharf", || Ok(self.wharf.process().cpu_time()?))
            .and("sandbox", || Ok(self.sandbox.usage()?.cpu));
        let work = rush(self.wharf.address(), connections, script);
        let (done, shares): (Rush, _) = processes.during(work).await?;
        tell(&format!("(f) {what}: {:.0} /s", done.per_second()));
        let per_second = Figure::new(Unit::PerSecond, done.per_second());
        let times = |percent| done.times.percentile(percent);
        let took = Figure::pair(Unit::Seconds, times(50), times(99));
        section.rows.extend([
            Row::wharf(&what, per_second).target(rate),
            Row::wharf("… answered after", took).target(answered),
        ]);
        section.uses.push(Use {
            what,
            messages: done.times.len(),
            shares,
        });
        Ok(())
    }

    /// A check of a code.
    fn check(&self, id: &str, code: &str) -> Request {
        let body = json!({ "id": id, "code": code }).to_string();
        let authorization = self.wharf.authorization();
        Request::post(self.wharf.address(), "/api/otp/verify", Some(&authorization), &body)
    }
}

/// A code for a phone; a purpose of its own makes it a verification of its own.
fn code_for(wharf: &Wharf, phone: &str, purpose: &str) -> Request {
    let body = json!({ "phone": phone, "purpose": purpose }).to_string();
    let authorization = wharf.authorization();
    Request::post(wharf.address(), "/api/otp/send", Some(&authorization), &body)
}

/// Requests that are known beforehand, one after the other, as often as there are rounds.
struct Calls {
    requests: Vec<Request>,
    rounds: usize,
    /// What every answer has to be.
    status: u16,
    done: Cell<usize>,
}

impl Calls {
    fn new(requests: Vec<Request>, rounds: usize, status: u16) -> Self {
        Self {
            requests,
            rounds,
            status,
            done: Cell::new(0),
        }
    }
}

impl Script for Calls {
    fn next(&self, _elapsed: Duration) -> Option<Request> {
        let done = self.done.get();
        if done >= self.requests.len() * self.rounds {
            return None;
        }
        self.done.set(done + 1);
        self.requests.get(done % self.requests.len()).cloned()
    }

    fn heard(&self, answer: &Answer<'_>) -> Result<()> {
        answer.require(self.status)
    }
}

async fn phones(sandbox: &Sandbox, name: &str, count: usize) -> Result<Vec<String>> {
    let mut phones = Vec::with_capacity(count);
    for number in 0..count {
        phones.push(sandbox.create_phone(&format!("{name}-{number}")).await?);
    }
    Ok(phones)
}

/// Without the limits that keep a form from being abused, and with codes that live for as long as they may.
fn options(bench: &Bench, name: &str, sandbox: &Sandbox) -> WharfOptions {
    let settings = [
        ("WHARF_OTP__PER_PHONE_HOURLY", "0"),
        ("WHARF_OTP__PER_PHONE_DAILY", "0"),
        ("WHARF_OTP__PER_PREFIX_HOURLY", "0"),
        ("WHARF_OTP__PER_CLIENT_HOURLY", "0"),
        ("WHARF_OTP__PER_KEY_HOURLY", "0"),
        ("WHARF_OTP__PER_SESSION_HOURLY", "0"),
        ("WHARF_OTP__GUARD_AFTER", "0"),
        ("WHARF_OTP__TTL", "10m"),
        // What waits for the pacer is not to be told of in the middle of a load.
        ("WHARF_OTP__UNDELIVERED_AFTER", "9m"),
    ];
    let options = Wharf::options(&bench.wharf, &bench.data(name), &sandbox.chat_url);
    let options = options.set("WHARF_OTP__ATTEMPTS", &ATTEMPTS.to_string());
    let set = |options: WharfOptions, (name, value): (&str, &str)| options.set(name, value);
    settings.into_iter().fold(options, set)
}

fn method(bench: &Bench) -> String {
    let pacing = PacingPolicy::default();
    format!(
        "On SQLite with `synchronous=full`; the limits on codes and their guard are off. Under each rate: p50 / p99 of the \
         answer. Accepted: codes to phones that never had one, each with an `Idempotency-Key`, for {} s through {} \
         connected sessions whose pacing is the default one, so that accepting alone is measured; an ordinary message is (c). \
         Approved: {count} verifications, each checked once with the code that its phone shows. Wrong: as many, each checked \
         {ATTEMPTS} times, the last of which ends it. To the wire: from the moment at which a code was due to be asked for, {} \
         a second through one session that is sending a campaign of {} messages, until its stanza is at the sandbox; the \
         campaign's rows are written beforehand, and some still wait when the last code has left. Pacing is opened for this; as \
         it is by default a code waits, too, for the gap after the message before it, {} to {} s at random, and for its place \
         among {} messages a minute. API keys: from the text of a key to its caller, one check after the other, in the program \
         that makes the load; HTTP and the rate that a key may have are not in it. Cached: the same key again and again; once a \
         second it is looked up anew, as it always is. Not cached: the first check after all keys were forgotten, which asks \
         SQLite. Unknown: a well-formed one that nobody made, which is looked for in vain each time.",
        bench.plan.load_for.as_secs(),
        send::SESSIONS,
        wire::A_SECOND,
        bench.plan.campaign,
        pacing.gap_min.as_secs(),
        pacing.gap_max.as_secs(),
        pacing.per_minute,
        count = bench.plan.verifications,
    )
}
