//! Callers: each sends, waits until the server has acknowledged, and sends again. As many callers, as many in flight.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use futures::future::try_join_all;

use super::acks::Acks;
use super::connection::Connection;
use super::request::Request;
use super::spread::Spread;

/// How a gateway tells that the server has a message.
#[derive(Clone)]
pub enum Acknowledged {
    /// By answering the request.
    InAnswer,
    /// By an event, after an answer that the message is accepted.
    ByEvent(Acks),
}

/// What the caller knows of a message that was sent.
pub struct SentMessage {
    /// WhatsApp's id of it.
    pub wire_id: String,
    /// When the request was sent, in milliseconds since 1970.
    pub asked: f64,
    /// From the request to the acknowledgement.
    pub took: Duration,
}

/// One after the other, to one chat after the other.
pub struct Caller {
    pub connection: Connection,
    pub requests: Vec<Request>,
    pub acknowledged: Acknowledged,
    /// The field of the answer that holds WhatsApp's id.
    pub wire_id: &'static str,
}

impl Caller {
    async fn send(&mut self, number: usize) -> Result<SentMessage> {
        let request = &self.requests[number % self.requests.len()];
        let (asked, started) = (unix_millis()?, Instant::now());
        let answer = self.connection.call(request.bytes()).await?;
        let wire_id = answer.field(self.wire_id)?.to_owned();
        if let Acknowledged::ByEvent(acks) = &self.acknowledged {
            acks.wait(answer.field("id")?).await?;
        }
        Ok(SentMessage {
            wire_id,
            asked,
            took: started.elapsed(),
        })
    }

    /// Sends once to every chat, so that what only a first message costs is not in the measurement.
    async fn warm_up(&mut self) -> Result<()> {
        for number in 0..self.requests.len() {
            self.send(number).await?;
        }
        Ok(())
    }

    async fn send_for(&mut self, time: Duration) -> Result<Vec<SentMessage>> {
        let started = Instant::now();
        let mut sent = Vec::new();
        while started.elapsed() < time {
            sent.push(self.send(sent.len()).await?);
        }
        Ok(sent)
    }
}

/// What all callers together did.
pub struct Sent {
    pub messages: Vec<SentMessage>,
    pub elapsed: Duration,
}

impl Sent {
    pub fn per_second(&self) -> f64 {
        self.messages.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub fn to_ack(&self) -> Spread {
        self.messages.iter().map(|message| message.took).collect()
    }
}

pub async fn warm_up(callers: &mut [Caller]) -> Result<()> {
    let all = try_join_all(callers.iter_mut().map(Caller::warm_up)).await;
    all.context("warming up").map(drop)
}

/// All callers at once for that long; each finishes what it began.
pub async fn send_for(callers: &mut [Caller], time: Duration) -> Result<Sent> {
    let started = Instant::now();
    let messages = try_join_all(callers.iter_mut().map(|caller| caller.send_for(time))).await?;
    Ok(Sent {
        messages: messages.into_iter().flatten().collect(),
        elapsed: started.elapsed(),
    })
}

/// Milliseconds since 1970.
pub fn unix_millis() -> Result<f64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(since.as_secs_f64() * 1000.0)
}
