//! Which process used the processor while something was measured. Two cores are 200 %.

use std::fs;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The kernel counts processor time for user space in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A process's part.
#[derive(Clone, Debug)]
pub struct Share {
    pub process: &'static str,
    /// Of one core.
    pub percent: f64,
    /// User and system time.
    pub used: Duration,
}

type Reading<'a> = Box<dyn Fn() -> Result<Duration> + 'a>;

/// Processes whose time is taken. The load generator itself is always one.
pub struct Processes<'a> {
    readings: Vec<(&'static str, Reading<'a>)>,
}

impl<'a> Processes<'a> {
    pub fn new() -> Self {
        Self { readings: Vec::new() }.and("load", || own_time("self"))
    }

    /// One more; `time` tells its user and system time since its start.
    #[must_use]
    pub fn and(mut self, process: &'static str, time: impl Fn() -> Result<Duration> + 'a) -> Self {
        self.readings.push((process, Box::new(time)));
        self
    }

    /// Does the work and says who used how much meanwhile.
    pub async fn during<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(T, Vec<Share>)> {
        let (before, started) = (self.read()?, Instant::now());
        let done = work.await?;
        let (after, elapsed) = (self.read()?, started.elapsed());
        let used = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after.saturating_sub(*before));
        let shares = self.readings.iter().zip(used).map(|((process, _), used)| Share {
            process,
            percent: used.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
            used,
        });
        Ok((done, shares.collect()))
    }

    fn read(&self) -> Result<Vec<Duration>> {
        self.readings.iter().map(|(_, time)| time()).collect()
    }
}

/// The time of a process and of everything that it started: what PostgreSQL is.
pub fn family_time(id: u32) -> Result<Duration> {
    let mut time = time_of(&id.to_string(), 4)?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name
            .to_str()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            continue;
        };
        // One that ends meanwhile is counted by its parent.
        if parent_of(child).is_ok_and(|parent| parent == id) {
            time += own_time(child).unwrap_or_default();
        }
    }
    Ok(time)
}

fn own_time(id: &str) -> Result<Duration> {
    time_of(id, 2)
}

/// User and system time, and with four fields also those of children that have ended.
fn time_of(id: &str, fields: usize) -> Result<Duration> {
    let ticks: u32 = stat(id)?.iter().skip(11).take(fields).sum();
    Ok(TICK * ticks)
}

fn parent_of(id: &str) -> Result<u32> {
    stat(id)?.get(1).copied().context("no parent")
}

/// The numbers behind the program's name, which stands in parentheses and may hold anything; what is no number is 0.
fn stat(id: &str) -> Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("no name in stat")?;
    Ok(rest
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_that_was_used_is_found() {
        let own = || family_time(std::process::id()).unwrap();
        let work = async {
            let enough = own() + Duration::from_millis(200);
            while own() < enough {
                (0..100_000).for_each(|_| std::hint::spin_loop());
            }
            Ok(())
        };
        let ((), shares) = Processes::new().during(work).await.unwrap();
        assert_eq!(shares[0].process, "load");
        assert!(shares[0].percent > 0.0, "{shares:?}");
        assert!(own() >= Duration::from_millis(200));
    }
}
