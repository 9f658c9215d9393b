//! How often an address and a number may try. Numbers are kept as hashes under a secret of this process.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use wharf_model::Phone;

use super::GeneratorConfig;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooOften {
    /// When the next try may be.
    pub(super) wait: Duration,
}

/// What was tried, by whom and for which number.
#[derive(Debug)]
pub(super) struct Limits {
    /// `None`: addresses are not limited.
    addresses: Option<DefaultKeyedRateLimiter<IpAddr>>,
    /// How many tries of a number in which time; 0 is no limit.
    of_phones: [(usize, Duration); 2],
    /// The tries of a day, oldest first: few for each number, because there are few to be had.
    phones: Mutex<HashMap<u64, VecDeque<Instant>>>,
    secret: RandomState,
}

impl Limits {
    pub(super) fn new(config: &GeneratorConfig) -> Self {
        let (hourly, daily) = config.per_phone;
        Self {
            addresses: quota(config.per_address, HOUR).map(RateLimiter::keyed),
            of_phones: [(hourly as usize, HOUR), (daily as usize, DAY)],
            phones: Mutex::default(),
            secret: RandomState::new(),
        }
    }

    /// Takes one try of an address.
    pub(super) fn take_address(&self, address: IpAddr) -> Result<(), TooOften> {
        let Some(limiter) = &self.addresses else { return Ok(()) };
        let taken = limiter.check_key(&wharf_api::limit_key(address));
        taken.map_err(|not_until| TooOften {
            wait: not_until.wait_time_from(DefaultClock::default().now()),
        })
    }

    /// Takes one try of a number, in whichever of its spellings.
    pub(super) fn take_phone(&self, phone: &Phone, now: Instant) -> Result<(), TooOften> {
        let spelling = phone.other_spelling().filter(|other| other < phone);
        let key = self.secret.hash_one(spelling.as_ref().unwrap_or(phone));
        let mut phones = self.phones.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = phones.entry(key).or_default();
        for (most, within) in self.of_phones {
            // The one that has to be older than that before there may be another.
            let Some(oldest) = tries.len().checked_sub(most).filter(|_| most > 0) else {
                continue;
            };
            let age = now.saturating_duration_since(tries[oldest]);
            if age < within {
                return Err(TooOften { wait: within - age });
            }
        }
        tries.push_back(now);
        Ok(())
    }

    /// Forgets what limits nobody any more.
    pub(super) fn forget_idle(&self, now: Instant) {
        if let Some(addresses) = &self.addresses {
            addresses.retain_recent();
            addresses.shrink_to_fit();
        }
        let mut phones = self.phones.lock().unwrap_or_else(PoisonError::into_inner);
        phones.retain(|_, tries| {
            tries.retain(|at| now.saturating_duration_since(*at) < DAY);
            !tries.is_empty()
        });
        phones.shrink_to_fit();
    }
}

/// So many in that time, at once or spread; 0 is no limit.
fn quota(most: u32, within: Duration) -> Option<Quota> {
    let most = NonZeroU32::new(most)?;
    Quota::with_period(within / most.get()).map(|quota| quota.allow_burst(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GeneratorConfig {
        GeneratorConfig {
            enabled: true,
            prefix: String::new(),
            attempts: 1,
            per_address: 2,
            per_phone: (3, 6),
            hosts: Vec::new(),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            kept_at: None,
            kept_for: Duration::ZERO,
        }
    }

    #[test]
    fn a_number_has_three_tries_an_hour_and_six_a_day_however_it_is_written() {
        let (limits, start) = (Limits::new(&config()), Instant::now());
        let (one, other) = ("5511987654321".parse().unwrap(), "551187654321".parse().unwrap());
        let minute = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for (at, phone) in [
            (0, &one),
            (1, &other),
            (59, &one),
            (60, &other),
            (61, &one),
            (180, &one),
        ] {
            limits.take_phone(phone, minute(at)).unwrap();
        }
        let refused = Limits::new(&config());
        for at in 0..3 {
            refused.take_phone(&one, minute(at)).unwrap();
        }
        let wait = refused.take_phone(&other, minute(10)).unwrap_err().wait;
        assert_eq!(wait, Duration::from_secs(50 * 60));
        let wait = limits.take_phone(&one, minute(300)).unwrap_err().wait;
        assert_eq!(wait, DAY - Duration::from_secs(300 * 60));
        limits.take_phone(&"15551234567".parse().unwrap(), minute(300)).unwrap();
        limits.forget_idle(minute(300) + DAY);
        assert!(limits.phones.lock().unwrap().is_empty());
    }

    #[test]
    fn an_address_is_limited_with_its_whole_network() {
        let limits = Limits::new(&config());
        for address in ["2001:db8::1", "2001:db8::2"] {
            limits.take_address(address.parse().unwrap()).unwrap();
        }
        assert!(limits.take_address("2001:db8::3".parse().unwrap()).is_err());
        limits.take_address("2001:db8:0:1::1".parse().unwrap()).unwrap();
    }
}
