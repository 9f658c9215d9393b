//! What became of verifications, in numbers of days.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use wharf_model::{Day, SessionId, WorkspaceId};
use wharf_storage::verifications::{self as rows, Cell, Counter, Counts, Wait, Waited};

use crate::error::OtpError;
use crate::verifications::Verifications;

/// How many purposes are told of by name: callers choose them freely.
const MOST_PURPOSES: usize = 100;

/// Which numbers.
#[derive(Clone, Debug)]
pub struct StatsQuery {
    /// From this day on, which is the day on which a verification was made.
    pub from: Day,
    /// To this day, included.
    pub to: Day,
    /// The sessions that the caller may know of; `None`: all.
    pub allowed: Option<Vec<SessionId>>,
}

/// The numbers, all together and apart.
#[derive(Clone, Debug, Default)]
pub struct StatsView {
    /// All together.
    pub total: Counts,
    /// How long things took; not told of some sessions only.
    pub latency: Option<LatencyView>,
    /// By the country of the phone, `None` where it is not known.
    pub by_country: Vec<(Option<String>, Counts)>,
    /// By what the codes were for; `None` for those that are not told of by name.
    pub by_purpose: Vec<(Option<String>, Counts)>,
    /// By the session that sent; of a verification the one that sent first.
    pub by_session: Vec<(SessionId, Counts)>,
    /// By day; days on which nothing was made are left out.
    pub by_day: Vec<(Day, Counts)>,
}

/// How long things took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyView {
    /// Until messages arrived.
    pub delivered: Quantiles,
    /// Until the right code came.
    pub approved: Quantiles,
}

/// Within how many milliseconds half of it, nine tenths and 99 of 100 were done: the upper bound of a bucket. `None`:
/// nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half.
    pub p50_ms: Option<u32>,
    /// Nine tenths.
    pub p90_ms: Option<u32>,
    /// 99 of 100.
    pub p99_ms: Option<u32>,
}

impl StatsView {
    fn new(cells: Vec<(Cell, Counts)>, waited: Option<&[Waited]>) -> Self {
        let mut total = Counts::default();
        let (mut countries, mut purposes, mut sessions, mut days) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (cell, counts) in cells {
            total.absorb(&counts);
            add(&mut countries, cell.country, &counts);
            add(&mut purposes, cell.purpose, &counts);
            add(&mut sessions, cell.session_id, &counts);
            add(&mut days, cell.day, &counts);
        }
        Self {
            total,
            latency: waited.map(LatencyView::new),
            by_country: countries.into_iter().collect(),
            by_purpose: with_most_created(purposes),
            by_session: sessions.into_iter().collect(),
            by_day: days.into_iter().collect(),
        }
    }
}

fn add<K: Ord>(sums: &mut BTreeMap<K, Counts>, key: K, counts: &Counts) {
    sums.entry(key).or_default().absorb(counts);
}

/// The purposes for which the most was created, by name, and all the others as one.
fn with_most_created(sums: BTreeMap<Option<String>, Counts>) -> Vec<(Option<String>, Counts)> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    // What has no name takes nobody's place.
    sums.sort_by_key(|(purpose, counts)| (purpose.is_none(), Reverse(counts.of(Counter::Created))));
    let mut told = BTreeMap::new();
    for (place, (purpose, counts)) in sums.into_iter().enumerate() {
        add(&mut told, purpose.filter(|_| place < MOST_PURPOSES), &counts);
    }
    told.into_iter().collect()
}

impl LatencyView {
    fn new(waited: &[Waited]) -> Self {
        Self {
            delivered: Quantiles::of(waited, Wait::Delivered),
            approved: Quantiles::of(waited, Wait::Approved),
        }
    }
}

impl Quantiles {
    fn of(waited: &[Waited], wait: Wait) -> Self {
        let mut buckets: BTreeMap<u32, u64> = BTreeMap::new();
        for one in waited.iter().filter(|one| one.wait == wait) {
            *buckets.entry(one.bucket).or_default() += one.count;
        }
        Self {
            p50_ms: quantile(&buckets, 50),
            p90_ms: quantile(&buckets, 90),
            p99_ms: quantile(&buckets, 99),
        }
    }
}

/// The first bucket up to which so many of a hundred are.
fn quantile(buckets: &BTreeMap<u32, u64>, percent: u64) -> Option<u32> {
    let wanted = (buckets.values().sum::<u64>() * percent).div_ceil(100);
    let mut below = 0;
    buckets
        .iter()
        .find(|(_, count)| {
            below += **count;
            below >= wanted
        })
        .map(|(bucket, _)| *bucket)
}

impl Verifications {
    /// The numbers of some days.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn stats(&self, workspace: WorkspaceId, query: StatsQuery) -> Result<StatsView, OtpError> {
        let StatsQuery { from, to, allowed } = query;
        let found = self.cx.storage.read(move |tx| {
            Box::pin(async move {
                let cells = rows::stats(tx, workspace, from, to).await?;
                Ok((cells, rows::latencies(tx, workspace, from, to).await?))
            })
        });
        let (mut cells, waited) = found.await.map_err(OtpError::Storage)?;
        // How long things took is not counted by session.
        let waited = allowed.is_none().then_some(waited.as_slice());
        if let Some(allowed) = &allowed {
            cells.retain(|(cell, _)| allowed.contains(&cell.session_id));
        }
        Ok(StatsView::new(cells, waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(counts: &[(u32, u64)]) -> Vec<Waited> {
        let waited = |(bucket, count): &(u32, u64)| Waited {
            wait: Wait::Delivered,
            bucket: *bucket,
            count: *count,
        };
        counts.iter().map(waited).collect()
    }

    #[test]
    fn the_purposes_with_most_are_told_by_name() {
        let created = |number: usize| {
            let mut counts = Counts::default();
            (0..number).for_each(|_| counts.count(Counter::Created));
            counts
        };
        let name = |number: usize| Some(format!("p{number:03}"));
        // As many as may be with two of each, two with fewer, one with more, and some without a name.
        let named = (0..MOST_PURPOSES).map(|number| (name(number), created(2)));
        let others = [(name(200), created(1)), (name(201), created(3)), (None, created(5))];
        let told = with_most_created(named.chain(others).collect());
        assert_eq!(told.len(), MOST_PURPOSES + 1);
        assert_eq!(told[0], (None, created(5 + 1 + 2)));
        assert_eq!(
            (&told[1], &told[MOST_PURPOSES]),
            (&(name(0), created(2)), &(name(201), created(3)))
        );
        assert!(
            told.iter().all(|(purpose, _)| *purpose != name(MOST_PURPOSES - 1)),
            "the last of equals"
        );
    }

    #[test]
    fn a_quantile_is_the_first_bucket_that_holds_enough() {
        let quantiles = |counts| Quantiles::of(&waited(counts), Wait::Delivered);
        let found = quantiles(&[(500, 49), (100, 1), (1000, 40), (2000, 9), (5000, 1)]);
        assert_eq!(
            (found.p50_ms, found.p90_ms, found.p99_ms),
            (Some(500), Some(1000), Some(2000))
        );
        assert_eq!(quantiles(&[(200, 1)]).p99_ms, Some(200));
        assert_eq!(quantiles(&[]), Quantiles::default());
        assert_eq!(
            Quantiles::of(&waited(&[(200, 1)]), Wait::Approved),
            Quantiles::default()
        );
    }
}
