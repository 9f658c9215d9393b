//! Whether the server can serve, asked seldom however often somebody asks.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);

/// Says whether the server can serve: storage takes writes, the owner lock is held.
#[async_trait]
pub trait Readiness: Send + Sync + Debug {
    /// `Err` holds one sentence that an operator may read; no path, no secret.
    async fn check(&self) -> Result<(), String>;
}

/// Asks once a second at most; callers in between share the answer.
#[derive(Debug)]
pub(crate) struct CachedReadiness {
    probe: Arc<dyn Readiness>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl CachedReadiness {
    pub(crate) fn new(probe: Arc<dyn Readiness>) -> Self {
        Self {
            probe,
            last: Mutex::new(None),
        }
    }

    pub(crate) async fn check(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = self.probe.check().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}
