//! Groups, as phones make and change them.

use std::sync::Arc;

use wacore_binary::Jid;

use super::Sandbox;
use crate::error::SandboxError;
use crate::model::{GroupChange, GroupInfo, GroupMember, NewGroup};
use crate::network::account::{Account, Addressing};
use crate::network::groups::{Group, Role, Settings};
use crate::server::groups::{self, Actor, Refused};
use crate::store::Ticket;

impl Sandbox {
    /// Makes a group; the phone is its owner.
    pub async fn create_group(&self, phone: &str, new: NewGroup) -> Result<GroupInfo, SandboxError> {
        let account = self.account(phone)?;
        let new = groups::NewGroup {
            subject: new.subject,
            members: self.jids(&new.members)?,
            settings: Settings::default(),
            description: None,
        };
        let made = groups::create(self.phone_of(&account), new);
        let (group, _nobody_is_missing, ticket) = made.map_err(not_allowed)?;
        self.shown(&group, ticket).await
    }

    /// Every group.
    pub fn groups(&self) -> Vec<GroupInfo> {
        self.network.groups.all().iter().map(|group| info(group)).collect()
    }

    /// One group, by its JID.
    pub fn group(&self, group: &str) -> Result<GroupInfo, SandboxError> {
        self.find_group(group).map(|group| info(&group))
    }

    /// Adds, removes, promotes or demotes members, on behalf of a phone. Nothing is done when one of them does not
    /// exist; members that are what they are to be stay so.
    pub async fn change_group(
        &self,
        phone: &str,
        group: &str,
        change: GroupChange,
        members: &[String],
    ) -> Result<GroupInfo, SandboxError> {
        let (account, group) = (self.account(phone)?, self.find_group(group)?);
        let change = match change {
            GroupChange::Add => groups::Change::Add,
            GroupChange::Remove => groups::Change::Remove,
            GroupChange::Promote => groups::Change::Promote,
            GroupChange::Demote => groups::Change::Demote,
        };
        let changed = groups::change(self.phone_of(&account), &group, change, &self.jids(members)?);
        let (_outcomes, ticket) = changed.map_err(not_allowed)?;
        self.shown(&group, ticket).await
    }

    /// The phone leaves a group.
    pub async fn leave_group(&self, phone: &str, group: &str) -> Result<GroupInfo, SandboxError> {
        let (account, group) = (self.account(phone)?, self.find_group(group)?);
        let ticket = groups::leave(self.phone_of(&account), &group).map_err(not_allowed)?;
        self.shown(&group, ticket).await
    }

    /// The phone follows the link of a group. It is not a member yet when an admin has to let it in.
    pub async fn join_group(&self, phone: &str, code: &str) -> Result<GroupInfo, SandboxError> {
        let account = self.account(phone)?;
        let joined = groups::join(self.phone_of(&account), code);
        let (group, _joined, ticket) = joined.map_err(not_allowed)?;
        self.shown(&group, ticket).await
    }

    async fn shown(&self, group: &Group, ticket: Ticket) -> Result<GroupInfo, SandboxError> {
        self.network.durable(ticket).await?;
        Ok(info(group))
    }

    fn phone_of<'a>(&'a self, account: &'a Arc<Account>) -> Actor<'a> {
        Actor {
            network: &self.network,
            account,
            device: 0,
        }
    }

    fn jids(&self, members: &[String]) -> Result<Vec<Jid>, SandboxError> {
        let found = members.iter().map(|member| self.person(member));
        found.map(|account| Ok(account?.user_jid(Addressing::Lid))).collect()
    }

    pub(super) fn find_group(&self, group: &str) -> Result<Arc<Group>, SandboxError> {
        let jid: Option<Jid> = group.parse().ok();
        let found = jid.and_then(|jid| self.network.groups.by_jid(&jid));
        found.ok_or_else(|| SandboxError::UnknownGroup(group.to_owned()))
    }
}

fn not_allowed(refused: Refused) -> SandboxError {
    SandboxError::NotAllowed(refused.to_string())
}

fn info(group: &Group) -> GroupInfo {
    let state = group.state();
    let members = state.members.iter().map(|(number, role)| GroupMember {
        phone: number.clone(),
        admin: *role >= Role::Admin,
        owner: *role == Role::Owner,
    });
    GroupInfo {
        group: group.jid().to_string(),
        subject: state.subject.clone(),
        description: state.description.as_ref().map(|description| description.text.clone()),
        members: members.collect(),
        requests: state.requests.keys().cloned().collect(),
        invite: state.invite.clone(),
        locked: state.settings.locked,
        announcement: state.settings.announcement,
        approval: state.settings.approval,
        ephemeral: state.settings.ephemeral,
    }
}
