//! How an account stands with the network, in the JSON that clients know: whether it may start chats, and how many.

use serde_json::{Value, json};

use super::notifications;
use crate::clock::unix_seconds;
use crate::network::Network;
use crate::network::account::{Account, AccountState};
use crate::network::contacts::ContactRules;

/// Shares of the chats it may start, from which on an account is warned.
const FIRST_WARNING: u64 = 75;
const SECOND_WARNING: u64 = 90;

/// The lock on starting chats.
pub(super) fn time_lock(state: &AccountState) -> Value {
    let locked = state.rules.is_locked();
    let ends = state.rules.locked_until.filter(|_| locked).unwrap_or_default();
    json!({
        "is_active": locked,
        "time_enforcement_ends": ends.to_string(),
        "enforcement_type": if locked { "WEB_COMPANION_ONLY" } else { "DEFAULT" },
    })
}

/// The number of chats it may start; nothing where they are not counted.
pub(super) fn new_chats(state: &AccountState) -> Value {
    let Some(most) = state.rules.new_chats else {
        return json!({ "capping_status": "NONE" });
    };
    let used = state.started_chats().min(most);
    let share = u64::from(used) * 100 / u64::from(most.max(1));
    let status = match share {
        _ if used >= most => "CAPPED",
        SECOND_WARNING.. => "SECOND_WARNING",
        FIRST_WARNING.. => "FIRST_WARNING",
        _ => "NONE",
    };
    json!({
        "total_quota": most,
        "used_quota": used,
        "server_sent_timestamp": unix_seconds().to_string(),
        "ote_status": "NOT_ELIGIBLE",
        "mv_status": "NOT_ELIGIBLE",
        "capping_status": status,
    })
}

/// Tells the companions what is new to them.
pub(crate) fn rules_changed(network: &Network, account: &Account, before: &ContactRules) {
    let (lock, chats) = {
        let state = account.state();
        let lock = (state.rules.locked_until != before.locked_until).then(|| time_lock(&state));
        let chats = (state.rules.new_chats != before.new_chats).then(|| new_chats(&state));
        (lock, chats)
    };
    if let Some(lock) = lock {
        let data = json!({ "xwa2_notify_account_reachout_timelock": lock });
        notifications::query_changed(network, account, "NotificationUserReachoutTimelockUpdate", &data);
    }
    if let Some(chats) = chats {
        let data = json!({ "xwa2_notify_new_chat_messages_capping_info_update": chats });
        notifications::query_changed(network, account, "MessageCappingInfoNotification", &data);
    }
}
