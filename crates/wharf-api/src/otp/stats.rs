//! `GET /api/otp/stats`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wharf_model::{Day, SessionId};
use wharf_otp::{LatencyView, Quantiles, StatsQuery, StatsView};
use wharf_storage::verifications::{Counter, Counts};

use super::list::parsed;
use crate::auth::Allowed;
use crate::error::{ApiError, FieldProblem};
use crate::extract::ValidQuery;
use crate::rules;
use crate::scope::ReadCodes;
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// How many days are told of where nothing is said.
const USUAL_DAYS: u32 = 30;

/// And at most.
const MOST_DAYS: u64 = 366;

/// Which days.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsDays {
    /// The first day, UTC; without it 30 days are told of.
    #[garde(custom(rules::optional_text(10, 10)))]
    #[param(nullable = false, format = Date, min_length = 10, max_length = 10, example = "2026-01-01")]
    from: Option<String>,
    /// The last day, at most 366 in all; without it today.
    #[garde(custom(rules::optional_text(10, 10)))]
    #[param(nullable = false, format = Date, min_length = 10, max_length = 10, example = "2026-01-31")]
    to: Option<String>,
}

impl StatsDays {
    fn query(&self, today: Day, allowed: Option<Vec<SessionId>>) -> Result<StatsQuery, ApiError> {
        let to = parsed::<Day>("/to", self.to.as_deref())?.unwrap_or(today);
        let from = parsed::<Day>("/from", self.from.as_deref())?;
        let from = from.unwrap_or_else(|| to.before(USUAL_DAYS - 1));
        if !(1..=MOST_DAYS).contains(&from.days_to(to)) {
            let wanted = "Must be `to` or one of the 365 days before it.";
            return Err(ApiError::InvalidQuery(vec![FieldProblem::new(
                "/from",
                "out_of_range",
                wanted,
            )]));
        }
        Ok(StatsQuery { from, to, allowed })
    }
}

/// What became of the verifications that were made on some days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpCounts)]
pub(crate) struct CountsBody {
    /// Verifications that were made.
    created: u64,
    /// Messages that were accepted.
    sends: u64,
    /// Messages that WhatsApp took.
    sent: u64,
    /// Messages that arrived.
    delivered: u64,
    /// Messages that were read, as far as phones tell.
    read: u64,
    /// Verifications whose right code came.
    approved: u64,
    /// Verifications whose time ran out.
    expired: u64,
    /// Verifications for which too many wrong codes came.
    failed: u64,
    /// Verifications that were taken back.
    cancelled: u64,
    /// `approved` of `created`, from 0 to 1; null where nothing was created.
    #[schema(required, example = 0.9312)]
    conversion: Option<f64>,
}

impl From<Counts> for CountsBody {
    fn from(counts: Counts) -> Self {
        let (created, approved) = (counts.of(Counter::Created), counts.of(Counter::Approved));
        Self {
            created,
            sends: counts.of(Counter::Sends),
            sent: counts.of(Counter::Sent),
            delivered: counts.of(Counter::Delivered),
            read: counts.of(Counter::Read),
            approved,
            expired: counts.of(Counter::Expired),
            failed: counts.of(Counter::Failed),
            cancelled: counts.of(Counter::Cancelled),
            conversion: share(approved, created),
        }
    }
}

/// With four decimals.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

/// Of one country.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpCountryStats)]
pub(crate) struct CountryBody {
    /// ISO 3166-1; null where it is not known.
    #[schema(required, example = "DE")]
    country: Option<String>,
    #[serde(flatten)]
    counts: CountsBody,
}

/// Of one purpose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpPurposeStats)]
pub(crate) struct PurposeBody {
    /// Null for the others: of a day 1,000 rows of country, purpose and session are counted, and of these the 100 purposes with
    /// most of `created` are shown.
    #[schema(required, example = "login")]
    purpose: Option<String>,
    #[serde(flatten)]
    counts: CountsBody,
}

/// Of one session: what it sent, and the verifications whose first message it sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpSessionStats)]
pub(crate) struct SessionBody {
    session_id: SessionIdText,
    #[serde(flatten)]
    counts: CountsBody,
}

/// Of one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpDayStats)]
pub(crate) struct DayBody {
    #[schema(format = Date, example = "2026-01-15")]
    day: String,
    #[serde(flatten)]
    counts: CountsBody,
}

/// Within how many milliseconds it was done, rounded up to 1, 2 or 5 of a power of ten, from 100 to 600000; null where
/// nothing was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpQuantiles)]
pub(crate) struct QuantilesBody {
    /// In half of all cases.
    #[schema(required, example = 1000)]
    p50_ms: Option<u32>,
    /// In nine of ten.
    #[schema(required, example = 2000)]
    p90_ms: Option<u32>,
    /// In 99 of 100.
    #[schema(required, example = 10_000)]
    p99_ms: Option<u32>,
}

impl From<Quantiles> for QuantilesBody {
    fn from(quantiles: Quantiles) -> Self {
        Self {
            p50_ms: quantiles.p50_ms,
            p90_ms: quantiles.p90_ms,
            p99_ms: quantiles.p99_ms,
        }
    }
}

/// How long things took.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpLatency)]
pub(crate) struct LatencyBody {
    /// From the acceptance of a message until it arrived.
    delivered: QuantilesBody,
    /// From the first message until the right code came.
    approved: QuantilesBody,
}

impl From<LatencyView> for LatencyBody {
    fn from(latency: LatencyView) -> Self {
        Self {
            delivered: latency.delivered.into(),
            approved: latency.approved.into(),
        }
    }
}

/// The numbers of some days, all together and apart.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpStats)]
pub(crate) struct StatsBody {
    /// The first day.
    #[schema(format = Date, example = "2026-01-01")]
    from: String,
    /// The last one.
    #[schema(format = Date, example = "2026-01-31")]
    to: String,
    total: CountsBody,
    /// Null for keys that are limited to sessions.
    #[schema(required)]
    latency: Option<LatencyBody>,
    by_country: Vec<CountryBody>,
    by_purpose: Vec<PurposeBody>,
    by_session: Vec<SessionBody>,
    /// Days on which nothing was created are left out.
    by_day: Vec<DayBody>,
}

impl StatsBody {
    fn new((from, to): (Day, Day), view: StatsView) -> Self {
        let (countries, purposes) = (view.by_country.into_iter(), view.by_purpose.into_iter());
        let (sessions, days) = (view.by_session.into_iter(), view.by_day.into_iter());
        let country = |(country, counts): (Option<String>, Counts)| CountryBody {
            country,
            counts: counts.into(),
        };
        let purpose = |(purpose, counts): (Option<String>, Counts)| PurposeBody {
            purpose,
            counts: counts.into(),
        };
        let session = |(id, counts): (SessionId, Counts)| SessionBody {
            session_id: SessionIdText(id),
            counts: counts.into(),
        };
        let day = |(day, counts): (Day, Counts)| DayBody {
            day: day.to_string(),
            counts: counts.into(),
        };
        Self {
            from: from.to_string(),
            to: to.to_string(),
            total: view.total.into(),
            latency: view.latency.map(LatencyBody::from),
            by_country: countries.map(country).collect(),
            by_purpose: purposes.map(purpose).collect(),
            by_session: sessions.map(session).collect(),
            by_day: days.map(day).collect(),
        }
    }
}

/// Get statistics
///
/// What became of verifications, counted on the day (UTC) on which each was made: created, sent, delivered, approved. They
/// stay when the verifications are deleted, for 400 days. Keys that are limited to sessions see the numbers of those.
#[utoipa::path(get, path = "/api/otp/stats", tag = "One-time passwords", security(("bearer" = ["otp:read"])),
    params(StatsDays),
    responses((status = 200, description = "The numbers", body = StatsBody)))]
pub(crate) async fn get_otp_stats(
    caller: Allowed<ReadCodes>,
    State(state): State<ApiState>,
    ValidQuery(days): ValidQuery<StatsDays>,
) -> Result<Json<StatsBody>, ApiError> {
    let query = days.query(Day::of(state.clock.now()), caller.allowed_sessions())?;
    let days = (query.from, query.to);
    let view = state.verifications.stats(caller.workspace(), query).await?;
    Ok(Json(StatsBody::new(days, view)))
}
