//! The load: accepting from many connections, and sending through one session until the server has everything.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;
use crate::wharf::Wharf;

/// What accepting looked like.
pub struct Accepted {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} /s, p50 {:.1?}, p99 {:.1?}",
            self.per_second, self.p50, self.p99
        )
    }
}

fn message(session: &str, to: &str, number: usize) -> Value {
    json!({ "session_id": session, "to": to, "type": "text", "text": { "body": format!("Message {number}") } })
}

/// Accepts as fast as the connections allow; every answer is a 202 with the message durable.
pub async fn accept(
    wharf: &Wharf,
    sessions: &[String],
    recipients: &[String],
    connections: usize,
    time: Duration,
) -> Result<Accepted, Failure> {
    let started = Instant::now();
    let counter = Arc::new(AtomicUsize::new(0));
    let callers = (0..connections).map(|_| async {
        let mut times = Vec::new();
        while started.elapsed() < time {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let body = message(
                &sessions[number % sessions.len()],
                &recipients[number % recipients.len()],
                number,
            );
            let asked = Instant::now();
            wharf.post("/api/messages", &body).await?;
            times.push(asked.elapsed());
        }
        Ok::<_, Failure>(times)
    });
    let mut times: Vec<Duration> = futures::future::try_join_all(callers).await?.concat();
    let elapsed = started.elapsed();
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Ok(Accepted {
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        p50: at(50),
        p99: at(99),
    })
}

/// Accepts `count` messages for one session, then waits until the server has acknowledged the last. Messages a second,
/// from the first call to the last acknowledgement.
pub async fn send_through_one_session(
    wharf: &Wharf,
    session: &str,
    recipients: &[String],
    count: usize,
) -> Result<f64, Failure> {
    let started = Instant::now();
    let callers = (0..16).map(|caller| async move {
        for number in (caller..count).step_by(16) {
            wharf
                .post(
                    "/api/messages",
                    &message(session, &recipients[number % recipients.len()], number),
                )
                .await?;
        }
        Ok::<_, Failure>(())
    });
    futures::future::try_join_all(callers).await?;
    for waiting in ["queued", "sending"] {
        while !none_left(wharf, session, waiting).await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

async fn none_left(wharf: &Wharf, session: &str, status: &str) -> Result<bool, Failure> {
    let page = wharf
        .get(&format!("/api/messages?session_id={session}&status={status}&limit=1"))
        .await?;
    Ok(page["data"].as_array().is_some_and(Vec::is_empty))
}
