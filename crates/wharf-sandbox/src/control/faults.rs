//! Calls about faults. Rules live in memory only.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::phones::Listed;
use super::problem::{Body, Path, Problem};
use crate::error::SandboxError;
use crate::fault::{Action, Conflict, FaultStatus, Match, Rule, StanzaMatch};
use crate::observation::Direction;
use crate::sandbox::Sandbox;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleBody {
    #[serde(default, rename = "match")]
    matching: MatchBody,
    action: ActionBody,
    #[serde(default = "always")]
    probability: f64,
    count: Option<u64>,
    seed: Option<u64>,
    lasts_ms: Option<u64>,
    #[serde(default)]
    now: bool,
}

fn always() -> f64 {
    1.0
}

#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MatchBody {
    account: Option<String>,
    stanza: Option<StanzaBody>,
    direction: Option<DirectionBody>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a stanza is its tag, or an object with tag, attrs, child")]
enum StanzaBody {
    Tag(String),
    Described(DescribedStanza),
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DescribedStanza {
    tag: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    child: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DirectionBody {
    FromClient,
    ToClient,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum ActionBody {
    DropConnection {},
    Delay {
        ms: u64,
    },
    Lose {},
    Duplicate {},
    Reorder {},
    Corrupt {},
    Refuse {
        code: u16,
    },
    Pause {
        ms: u64,
    },
    StreamError {
        code: Option<u16>,
        conflict: Option<ConflictBody>,
    },
    HalfOpen {},
    RefuseLogin {
        code: u16,
    },
    RefuseConnection {},
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ConflictBody {
    Replaced,
    DeviceRemoved,
}

/// A rule with its number and what has come of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FaultBody {
    id: u64,
    #[serde(flatten)]
    rule: RuleBody,
    matched: u64,
    fired: u64,
    spent: bool,
}

/// Make a fault
#[utoipa::path(post, path = "/sandbox/api/faults", tag = "Faults",
    request_body = RuleBody,
    responses((status = 201, description = "The rule with its number", body = FaultBody)))]
pub(super) async fn create(
    State(sandbox): State<Sandbox>,
    Body(rule): Body<RuleBody>,
) -> Result<(StatusCode, Json<FaultBody>), Problem> {
    let id = sandbox.fault(rule.into())?.keep();
    let status = sandbox.fault_status(id).ok_or(SandboxError::UnknownFault(id))?;
    Ok((StatusCode::CREATED, Json(status.into())))
}

/// Every fault
#[utoipa::path(get, path = "/sandbox/api/faults", tag = "Faults",
    responses((status = 200, description = "The oldest first", body = Listed<FaultBody>)))]
pub(super) async fn list(State(sandbox): State<Sandbox>) -> Json<Listed<FaultBody>> {
    Json(Listed {
        data: sandbox.faults().into_iter().map(FaultBody::from).collect(),
    })
}

/// One fault
#[utoipa::path(get, path = "/sandbox/api/faults/{fault}", tag = "Faults",
    params(("fault" = u64, Path, description = "Number of the fault")),
    responses((status = 200, description = "The rule and what has come of it", body = FaultBody)))]
pub(super) async fn show(State(sandbox): State<Sandbox>, Path(id): Path<u64>) -> Result<Json<FaultBody>, Problem> {
    let status = sandbox.fault_status(id).ok_or(SandboxError::UnknownFault(id))?;
    Ok(Json(status.into()))
}

/// Remove a fault
#[utoipa::path(delete, path = "/sandbox/api/faults/{fault}", tag = "Faults",
    params(("fault" = u64, Path, description = "Number of the fault")),
    responses((status = 204, description = "What it did is not undone")))]
pub(super) async fn remove(State(sandbox): State<Sandbox>, Path(id): Path<u64>) -> Result<StatusCode, Problem> {
    sandbox.remove_fault(id)?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<RuleBody> for Rule {
    fn from(body: RuleBody) -> Self {
        Self {
            matching: body.matching.into(),
            action: body.action.into(),
            probability: body.probability,
            count: body.count,
            seed: body.seed,
            lasts: body.lasts_ms.map(Duration::from_millis),
            now: body.now,
        }
    }
}

impl From<MatchBody> for Match {
    fn from(body: MatchBody) -> Self {
        Self {
            account: body.account,
            stanza: body.stanza.map(StanzaMatch::from),
            direction: body.direction.map(Direction::from),
        }
    }
}

impl From<StanzaBody> for StanzaMatch {
    fn from(body: StanzaBody) -> Self {
        match body {
            StanzaBody::Tag(tag) => Self::tag(tag),
            StanzaBody::Described(DescribedStanza { tag, attrs, child }) => Self { tag, attrs, child },
        }
    }
}

impl From<DirectionBody> for Direction {
    fn from(body: DirectionBody) -> Self {
        match body {
            DirectionBody::FromClient => Self::FromClient,
            DirectionBody::ToClient => Self::ToClient,
        }
    }
}

impl From<ActionBody> for Action {
    fn from(body: ActionBody) -> Self {
        match body {
            ActionBody::DropConnection {} => Self::DropConnection,
            ActionBody::Delay { ms } => Self::Delay(Duration::from_millis(ms)),
            ActionBody::Lose {} => Self::Lose,
            ActionBody::Duplicate {} => Self::Duplicate,
            ActionBody::Reorder {} => Self::Reorder,
            ActionBody::Corrupt {} => Self::Corrupt,
            ActionBody::Refuse { code } => Self::Refuse { code },
            ActionBody::Pause { ms } => Self::Pause(Duration::from_millis(ms)),
            ActionBody::StreamError { code, conflict } => Self::StreamError {
                code,
                conflict: conflict.map(Conflict::from),
            },
            ActionBody::HalfOpen {} => Self::HalfOpen,
            ActionBody::RefuseLogin { code } => Self::RefuseLogin { code },
            ActionBody::RefuseConnection {} => Self::RefuseConnection,
        }
    }
}

impl From<ConflictBody> for Conflict {
    fn from(body: ConflictBody) -> Self {
        match body {
            ConflictBody::Replaced => Self::Replaced,
            ConflictBody::DeviceRemoved => Self::DeviceRemoved,
        }
    }
}

impl From<FaultStatus> for FaultBody {
    fn from(status: FaultStatus) -> Self {
        Self {
            id: status.id,
            rule: status.rule.into(),
            matched: status.matched,
            fired: status.fired,
            spent: status.spent,
        }
    }
}

impl From<Rule> for RuleBody {
    fn from(rule: Rule) -> Self {
        Self {
            matching: rule.matching.into(),
            action: rule.action.into(),
            probability: rule.probability,
            count: rule.count,
            seed: rule.seed,
            lasts_ms: rule.lasts.map(millis),
            now: rule.now,
        }
    }
}

impl From<Match> for MatchBody {
    fn from(matching: Match) -> Self {
        let described = |StanzaMatch { tag, attrs, child }| DescribedStanza { tag, attrs, child };
        Self {
            account: matching.account,
            stanza: matching.stanza.map(|stanza| StanzaBody::Described(described(stanza))),
            direction: matching.direction.map(|direction| match direction {
                Direction::FromClient => DirectionBody::FromClient,
                Direction::ToClient => DirectionBody::ToClient,
            }),
        }
    }
}

impl From<Action> for ActionBody {
    fn from(action: Action) -> Self {
        match action {
            Action::DropConnection => Self::DropConnection {},
            Action::Delay(delay) => Self::Delay { ms: millis(delay) },
            Action::Lose => Self::Lose {},
            Action::Duplicate => Self::Duplicate {},
            Action::Reorder => Self::Reorder {},
            Action::Corrupt => Self::Corrupt {},
            Action::Refuse { code } => Self::Refuse { code },
            Action::Pause(pause) => Self::Pause { ms: millis(pause) },
            Action::StreamError { code, conflict } => Self::StreamError {
                code,
                conflict: conflict.map(|conflict| match conflict {
                    Conflict::Replaced => ConflictBody::Replaced,
                    Conflict::DeviceRemoved => ConflictBody::DeviceRemoved,
                }),
            },
            Action::HalfOpen => Self::HalfOpen {},
            Action::RefuseLogin { code } => Self::RefuseLogin { code },
            Action::RefuseConnection => Self::RefuseConnection {},
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
