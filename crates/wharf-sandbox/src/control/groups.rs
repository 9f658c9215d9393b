//! Calls about groups.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;

use super::phones::Listed;
use super::problem::{Body, Path, Problem};
use crate::model::{GroupChange, GroupInfo, NewGroup};
use crate::sandbox::Sandbox;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateParams {
    /// Who makes it.
    phone: String,
    subject: String,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeParams {
    /// Who does it.
    phone: String,
    change: GroupChange,
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PhoneParams {
    phone: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinParams {
    code: String,
}

pub(super) async fn create(
    State(sandbox): State<Sandbox>,
    Body(params): Body<CreateParams>,
) -> Result<(StatusCode, Json<GroupInfo>), Problem> {
    let new = NewGroup {
        subject: params.subject,
        members: params.members,
    };
    Ok((
        StatusCode::CREATED,
        Json(sandbox.create_group(&params.phone, new).await?),
    ))
}

pub(super) async fn list(State(sandbox): State<Sandbox>) -> Json<Listed<GroupInfo>> {
    Json(Listed { data: sandbox.groups() })
}

pub(super) async fn show(
    State(sandbox): State<Sandbox>,
    Path(group): Path<String>,
) -> Result<Json<GroupInfo>, Problem> {
    Ok(Json(sandbox.group(&group)?))
}

pub(super) async fn change(
    State(sandbox): State<Sandbox>,
    Path(group): Path<String>,
    Body(params): Body<ChangeParams>,
) -> Result<Json<GroupInfo>, Problem> {
    let changed = sandbox.change_group(&params.phone, &group, params.change, &params.members);
    Ok(Json(changed.await?))
}

pub(super) async fn leave(
    State(sandbox): State<Sandbox>,
    Path(group): Path<String>,
    Body(params): Body<PhoneParams>,
) -> Result<Json<GroupInfo>, Problem> {
    Ok(Json(sandbox.leave_group(&params.phone, &group).await?))
}

pub(super) async fn join(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<JoinParams>,
) -> Result<Json<GroupInfo>, Problem> {
    Ok(Json(sandbox.join_group(&phone, &params.code).await?))
}
