//! Countries of phones, and where codes may go (OTP-13): somebody who makes codes be sent to strangers prefers countries that
//! their sender has no business in.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rlibphonenumber::PHONE_NUMBER_UTIL;
use tokio::sync::Mutex as Turn;
use wharf_model::{Clock, Phone, Timestamp, WorkspaceId};

/// How long it is believed which countries the sessions of a workspace are of.
const KEPT: Duration = Duration::from_secs(60);

/// A country that they are not of is looked for again after this time: a session may have been linked meanwhile.
const LOOKED_AGAIN: Duration = Duration::from_secs(5);

/// A country by its code of ISO 3166-1, such as `DE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// A text that is not the code of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a country: expected a code of two letters, such as DE")]
pub struct CountryError;

impl Country {
    /// The country that a phone is of. `None`: its number is of none, or nobody knows of which.
    pub fn of(phone: &Phone) -> Option<Self> {
        region_of(phone)?.parse().ok()
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The region of a number, and where none has such numbers the main one of its calling code: WhatsApp has accounts whose
/// numbers no library knows. All that is asked of the library.
fn region_of(phone: &Phone) -> Option<String> {
    let number = PHONE_NUMBER_UTIL.parse(phone.to_string(), None).ok()?;
    let region = PHONE_NUMBER_UTIL
        .get_region_for_number(&number)
        .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code))?;
    Some(region.as_region_str().to_string())
}

/// For a sentence.
pub(crate) fn named(country: Option<&Country>) -> &str {
    country.map_or("an unknown country", Country::as_str)
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        let &[first, second] = text.as_bytes() else {
            return Err(CountryError);
        };
        if !(first.is_ascii_alphabetic() && second.is_ascii_alphabetic()) {
            return Err(CountryError);
        }
        Ok(Self([first.to_ascii_uppercase(), second.to_ascii_uppercase()]))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where codes may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Countries {
    /// Everywhere, also where nobody knows where that is.
    All,
    /// To the countries of the workspace's own linked sessions, and to these.
    OwnAnd(Vec<Country>),
}

impl Default for Countries {
    fn default() -> Self {
        Self::OwnAnd(Vec::new())
    }
}

impl FromStr for Countries {
    type Err = CountryError;

    /// Takes codes between commas, or `*`.
    fn from_str(text: &str) -> Result<Self, CountryError> {
        if text.trim() == "*" {
            return Ok(Self::All);
        }
        let codes = text.split(',').map(str::trim).filter(|code| !code.is_empty());
        codes.map(str::parse).collect::<Result<_, _>>().map(Self::OwnAnd)
    }
}

/// The countries of a workspace's sessions, as they were when somebody looked.
#[derive(Debug)]
struct Seen {
    countries: Vec<Country>,
    at: Timestamp,
}

#[derive(Debug, Default)]
struct Known {
    seen: HashMap<WorkspaceId, Seen>,
    turns: HashMap<WorkspaceId, Arc<Turn<()>>>,
}

/// What is known of the sessions' countries.
#[derive(Debug, Default)]
pub(crate) struct OwnCountries(Mutex<Known>);

impl OwnCountries {
    /// Whether a workspace has a session of a country. Polls `look` where that is not known: one at a time for a workspace,
    /// because a look opens the profile of every session.
    pub(crate) async fn has<E>(
        &self,
        (workspace, country): (WorkspaceId, Country),
        clock: &dyn Clock,
        look: impl Future<Output = Result<Vec<Country>, E>>,
    ) -> Result<bool, E> {
        if let Some(held) = self.holds(workspace, country, clock.now()) {
            return Ok(held);
        }
        let turn = self.turn(workspace);
        let _taken = turn.lock().await;
        let now = clock.now();
        // Whoever had the turn before may have looked.
        if let Some(held) = self.holds(workspace, country, now) {
            return Ok(held);
        }
        let countries = look.await?;
        let held = countries.contains(&country);
        self.note(workspace, countries, now);
        Ok(held)
    }

    /// `None`: somebody has to look. A clock that was set back says nothing of how long ago it was.
    fn holds(&self, workspace: WorkspaceId, country: Country, now: Timestamp) -> Option<bool> {
        let known = self.lock();
        let seen = known.seen.get(&workspace)?;
        let held = seen.countries.contains(&country);
        let kept = if held { KEPT } else { LOOKED_AGAIN };
        (seen.at <= now && now.since(seen.at) < kept).then_some(held)
    }

    fn note(&self, workspace: WorkspaceId, countries: Vec<Country>, at: Timestamp) {
        self.lock().seen.insert(workspace, Seen { countries, at });
    }

    fn turn(&self, workspace: WorkspaceId) -> Arc<Turn<()>> {
        Arc::clone(self.lock().turns.entry(workspace).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use wharf_model::SystemEdges;

    use super::*;

    fn country_of(phone: &str) -> Option<String> {
        Country::of(&phone.parse().unwrap()).map(|country| country.to_string())
    }

    #[test]
    fn a_phone_has_a_country() {
        for (phone, country) in [
            ("+4915112345678", "DE"),
            ("+14165550123", "CA"),
            ("+5215512345678", "MX"),
            ("+525512345678", "MX"),
            // Fiction has no numbers that libraries know.
            ("+15550100001", "US"),
        ] {
            assert_eq!(country_of(phone).as_deref(), Some(country), "{phone}");
        }
        // For the whole world, and for nobody.
        assert_eq!(country_of("+80012345678"), None);
        assert_eq!(country_of("+9991234567"), None);
    }

    #[test]
    fn countries_are_read_as_people_write_them() {
        assert_eq!("".parse(), Ok(Countries::default()));
        assert_eq!(" * ".parse(), Ok(Countries::All));
        let (germany, spain) = (Country(*b"DE"), Country(*b"ES"));
        assert_eq!("DE, es,".parse(), Ok(Countries::OwnAnd(vec![germany, spain])));
        for wrong in ["Germany", "D", "49", "DE;ES", "DE,*", "DÉ"] {
            assert_eq!(wrong.parse::<Countries>(), Err(CountryError), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_found_is_looked_for_again_soon() {
        let workspace = WorkspaceId::generate(&SystemEdges, &SystemEdges);
        let (germany, spain, own) = (Country(*b"DE"), Country(*b"ES"), OwnCountries::default());
        let start = Timestamp::from_secs(1_700_000_000);
        assert_eq!(own.holds(workspace, germany, start), None);
        own.note(workspace, vec![germany], start);
        for (later, of_germany, of_spain) in [
            (4, Some(true), Some(false)),
            (5, Some(true), None),
            (59, Some(true), None),
            (60, None, None),
        ] {
            let now = start + Duration::from_secs(later);
            let held = [germany, spain].map(|country| own.holds(workspace, country, now));
            assert_eq!(held, [of_germany, of_spain], "{later} s");
        }
        let before = start - Duration::from_millis(1);
        assert_eq!(own.holds(workspace, germany, before), None, "the clock was set back");
    }

    #[tokio::test]
    async fn of_many_that_ask_at_once_one_looks() {
        let workspace = WorkspaceId::generate(&SystemEdges, &SystemEdges);
        let (germany, own, looks) = (Country(*b"DE"), OwnCountries::default(), AtomicUsize::new(0));
        let look = async || {
            looks.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok::<_, ()>(vec![germany])
        };
        let asked = (0..50).map(|_| own.has((workspace, germany), &SystemEdges, look()));
        let held = futures::future::join_all(asked).await;
        assert!(held.into_iter().all(|held| held == Ok(true)));
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        let failing = async { Err::<Vec<Country>, _>("no database") };
        let spain = own.has((workspace, Country(*b"ES")), &SystemEdges, failing).await;
        assert_eq!(spain, Ok(false), "that was seen, too");
    }

    #[tokio::test]
    async fn after_a_look_that_failed_the_next_one_looks() {
        let workspace = WorkspaceId::generate(&SystemEdges, &SystemEdges);
        let (germany, own) = (Country(*b"DE"), OwnCountries::default());
        let failing = async { Err::<Vec<Country>, _>("no database") };
        let asked = own.has((workspace, germany), &SystemEdges, failing).await;
        assert_eq!(asked, Err("no database"));
        let look = async { Ok::<_, &str>(vec![germany]) };
        assert_eq!(own.has((workspace, germany), &SystemEdges, look).await, Ok(true));
    }
}
