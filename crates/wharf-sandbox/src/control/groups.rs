//! Calls about groups.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::phones::Listed;
use super::problem::{Body, Path, Problem};
use crate::model::{GroupChange, GroupInfo, NewGroup};
use crate::sandbox::Sandbox;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroupBody {
    /// Who makes it.
    phone: String,
    subject: String,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeParams {
    /// Who does it.
    phone: String,
    change: GroupChange,
    members: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PhoneParams {
    phone: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinParams {
    code: String,
}

/// Make a group
#[utoipa::path(post, path = "/sandbox/api/groups", tag = "Groups",
    request_body = NewGroupBody,
    responses((status = 201, description = "The group", body = GroupInfo)))]
pub(super) async fn create(
    State(sandbox): State<Sandbox>,
    Body(params): Body<NewGroupBody>,
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

/// Every group
#[utoipa::path(get, path = "/sandbox/api/groups", tag = "Groups",
    responses((status = 200, description = "By JID", body = Listed<GroupInfo>)))]
pub(super) async fn list(State(sandbox): State<Sandbox>) -> Json<Listed<GroupInfo>> {
    Json(Listed { data: sandbox.groups() })
}

/// One group
#[utoipa::path(get, path = "/sandbox/api/groups/{group}", tag = "Groups",
    params(("group" = String, Path, description = "JID of the group")),
    responses((status = 200, description = "The group", body = GroupInfo)))]
pub(super) async fn show(
    State(sandbox): State<Sandbox>,
    Path(group): Path<String>,
) -> Result<Json<GroupInfo>, Problem> {
    Ok(Json(sandbox.group(&group)?))
}

/// Add, remove, promote or demote members
#[utoipa::path(post, path = "/sandbox/api/groups/{group}/members", tag = "Groups",
    params(("group" = String, Path, description = "JID of the group")),
    request_body = ChangeParams,
    responses((status = 200, description = "The group", body = GroupInfo)))]
pub(super) async fn change(
    State(sandbox): State<Sandbox>,
    Path(group): Path<String>,
    Body(params): Body<ChangeParams>,
) -> Result<Json<GroupInfo>, Problem> {
    let changed = sandbox.change_group(&params.phone, &group, params.change, &params.members);
    Ok(Json(changed.await?))
}

/// Leave a group
#[utoipa::path(post, path = "/sandbox/api/groups/{group}/leave", tag = "Groups",
    params(("group" = String, Path, description = "JID of the group")),
    request_body = PhoneParams,
    responses((status = 200, description = "The group", body = GroupInfo)))]
pub(super) async fn leave(
    State(sandbox): State<Sandbox>,
    Path(group): Path<String>,
    Body(params): Body<PhoneParams>,
) -> Result<Json<GroupInfo>, Problem> {
    Ok(Json(sandbox.leave_group(&params.phone, &group).await?))
}

/// Follow the link of a group
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/join", tag = "Groups",
    params(("phone" = String, Path, description = "Its number")),
    request_body = JoinParams,
    responses((status = 200, description = "The group", body = GroupInfo)))]
pub(super) async fn join(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<JoinParams>,
) -> Result<Json<GroupInfo>, Problem> {
    Ok(Json(sandbox.join_group(&phone, &params.code).await?))
}
