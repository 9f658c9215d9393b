//! Many connections at once, each of which calls, waits for the answer and calls again.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use super::connection::{Answer, Connection};
use super::request::Request;
use super::spread::Spread;

/// What all connections together ask for.
pub trait Script {
    /// The next call, so long after the first; `None`: that was all.
    fn next(&self, elapsed: Duration) -> Option<Request>;

    /// Takes an answer; an error ends everything.
    fn heard(&self, answer: &Answer<'_>) -> Result<()>;
}

/// What came of it.
pub struct Rush {
    pub times: Spread,
    elapsed: Duration,
}

impl Rush {
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Carries a script out over so many connections; each finishes what it began.
pub async fn rush(address: &str, connections: usize, script: &impl Script) -> Result<Rush> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let call = |connection| call_on(connection, script, started);
    let times = try_join_all(open.into_iter().map(call)).await?.concat();
    Ok(Rush {
        elapsed: started.elapsed(),
        times: times.into_iter().collect(),
    })
}

async fn call_on(mut connection: Connection, script: &impl Script, started: Instant) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while let Some(request) = script.next(started.elapsed()) {
        let asked = Instant::now();
        let answer = connection.ask(request.bytes()).await?;
        times.push(asked.elapsed());
        script.heard(&answer)?;
    }
    Ok(times)
}
