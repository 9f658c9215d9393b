//! From the request of a code to its stanza, behind a campaign that waits in the same session (OTP-16).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wharf_model::{Content, Lane, MessageId, Network, PacingPolicy, Phone, SessionId, WorkspaceId};
use wharf_session::content;
use wharf_storage::messages::{self, NewOutbound, OutboundDraft};
use wharf_storage::{Queue, SessionKeys, Storage, StorageConfig, workspaces};
use wharf_testkit::process::{PATIENCE, Remote, Sandbox, until};

use super::super::{Bench, tell};
use super::{code_for, phones};
use crate::TEXT;
use crate::gateway::{Gateway, Wharf};
use crate::load::caller::{SentMessage, unix_millis};
use crate::load::connection::Connection;
use crate::report::Row;
use crate::report::figure::{Figure, Target, Unit};
use crate::stanzas::StanzaLog;

/// Codes a second.
pub const A_SECOND: u32 = 20;
/// Phones that get them; none of them is in the campaign.
const VISITORS: usize = 64;
/// Messages that one unit of work writes.
const UNIT: usize = 1000;

/// A Wharf with one session, and those who get the campaign.
pub struct Linked {
    pub wharf: Wharf,
    pub session: String,
    pub readers: Vec<String>,
}

pub async fn measure(bench: &Bench, sandbox: &Sandbox, linked: Linked) -> Result<[Row; 2]> {
    let Linked {
        wharf,
        session,
        readers,
    } = linked;
    let visitors = phones(sandbox, "visitor", VISITORS).await?;
    let options = wharf.end().await?;
    write_campaign(&options.dir, session.parse()?, &readers, bench.plan.campaign).await?;
    tell(&format!(
        "(f) {} messages of a campaign are written",
        bench.plan.campaign
    ));
    let mut log = StanzaLog::of(sandbox);
    log.skip().await?;
    let wharf = Wharf::start_again(options).await?;
    wharf.process().ready(&session, PATIENCE).await?;
    let asked = ask_steadily(&wharf, &visitors, bench.plan.load_for).await?;
    let sent = all_left(wharf.process().api(), asked).await?;
    ensure!(
        campaign_waits(wharf.process().api(), &session).await?,
        "the campaign was over before the codes were: it has to be longer"
    );
    // The log is read when it grows no more.
    wharf.stop().await?;
    let times = log.times_to_wire(&sent).await?;
    let figure = Figure::pair(Unit::Seconds, times.percentile(50), times.percentile(99));
    let count = bench.plan.campaign;
    let what = format!("code to the wire, beside a campaign of {count} messages");
    tell(&format!("(f) {what}: {figure}"));
    let pacing = PacingPolicy::default();
    let (shortest, longest) = (pacing.gap_min.as_secs(), pacing.gap_max.as_secs());
    Ok([
        Row::wharf(what, figure).target(Some(Target::SecondAtMost(Unit::Seconds, 1.0))),
        Row::note(format!(
            "… and the gap of the default pacing, {shortest} to {longest} s"
        )),
    ])
}

/// A campaign in the making.
struct Campaign {
    storage: Storage,
    workspace: WorkspaceId,
    session: SessionId,
    keys: Arc<SessionKeys>,
    phones: Vec<Phone>,
    content: Content,
}

impl Campaign {
    /// A message, to one phone after the other.
    fn message(&self, number: usize) -> Result<NewOutbound> {
        let (clock, random) = (&**self.storage.clock(), &**self.storage.random());
        let (phone, now) = (&self.phones[number % self.phones.len()], clock.now());
        let mut secret = [0; 32];
        random.fill(&mut secret);
        let draft = OutboundDraft {
            id: MessageId::generate(clock, random),
            workspace_id: self.workspace,
            session_id: self.session,
            lane: Lane::Campaign,
            kind: self.content.kind(),
            chat: &phone.to_jid().to_string(),
            to: &phone.to_string(),
            body: &content::encode(&self.content),
            secret: &secret,
            metadata: None,
            whatsapp_id: &format!("3EB0{number:018X}"),
            due_at: now,
            expires_at: None,
            created_at: now,
            wording: None,
        };
        Ok(draft.seal(&self.keys)?)
    }
}

/// Writes the rows of a campaign into the database of a Wharf that is stopped.
async fn write_campaign(folder: &Path, session: SessionId, phones: &[String], count: usize) -> Result<()> {
    let storage = Storage::open(StorageConfig::new(folder, Network::Sandbox)).await?;
    let workspace = storage.read(|tx| Box::pin(workspaces::oldest(tx))).await?;
    let recipients: Result<Vec<Phone>, _> = phones.iter().map(|phone| phone.parse::<Phone>()).collect();
    let campaign = Campaign {
        workspace: workspace.context("no workspace")?.id,
        session,
        keys: storage.session_keys(session).await?,
        phones: recipients?,
        content: Content::text(TEXT),
        storage,
    };
    for first in (0..count).step_by(UNIT) {
        let unit = first..count.min(first + UNIT);
        let rows: Result<Vec<_>> = unit.map(|number| campaign.message(number)).collect();
        let rows = rows?;
        let written = campaign.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                for row in &rows {
                    messages::insert_outbound(tx, row).await?;
                }
                Ok(())
            })
        });
        written.await?;
    }
    campaign.storage.close().await;
    Ok(())
}

/// A code that was asked for.
struct Asked {
    message: String,
    /// When it was due to be, in milliseconds since 1970: what one answer takes too long counts for those behind it.
    at: f64,
    took: Duration,
}

/// Asks for codes at an even pace, for one phone after the other.
async fn ask_steadily(wharf: &Wharf, visitors: &[String], time: Duration) -> Result<Vec<Asked>> {
    let mut connection = Connection::open(wharf.address()).await?;
    let (began, began_at) = (tokio::time::Instant::now(), unix_millis()?);
    let mut asked = Vec::new();
    for (number, phone) in (0_u32..).zip(visitors.iter().cycle()) {
        let due = Duration::from_secs(1) * number / A_SECOND;
        if due >= time {
            break;
        }
        let request = code_for(wharf, phone, &format!("behind-{number}"));
        tokio::time::sleep_until(began + due).await;
        let started = Instant::now();
        let answer = connection.call(request.bytes()).await?;
        asked.push(Asked {
            message: answer.field("message_id")?.to_owned(),
            at: began_at + due.as_secs_f64() * 1000.0,
            took: started.elapsed(),
        });
    }
    Ok(asked)
}

/// Waits until the server has each of them, and learns WhatsApp's ids.
async fn all_left(api: &Remote, asked: Vec<Asked>) -> Result<Vec<SentMessage>> {
    let mut sent = Vec::with_capacity(asked.len());
    for Asked { message, at, took } in asked {
        let path = format!("/api/messages/{message}");
        let left = until("a code has left", PATIENCE, || async {
            let found = api.get(&path).await?;
            let waits = matches!(found["status"].as_str(), Some("queued" | "sending"));
            Ok((!waits).then_some(found))
        });
        let found = left.await?;
        let wire_id = found["whatsapp_message_id"].as_str();
        let wire_id = wire_id.context("a message without its id")?;
        sent.push(SentMessage {
            wire_id: wire_id.to_owned(),
            asked: at,
            took,
        });
    }
    Ok(sent)
}

/// Whether messages of the campaign are still queued. The list begins with those that were written last; the gauge
/// `wharf_messages_queued` is counted twice a minute only.
async fn campaign_waits(api: &Remote, session: &str) -> Result<bool> {
    let path = format!("/api/messages?session_id={session}&status=queued&limit=100");
    let queued = api.get(&path).await?;
    let mut queued = queued["data"].as_array().into_iter().flatten();
    Ok(queued.any(|message| message["lane"] == "campaign"))
}
