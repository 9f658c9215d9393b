//! The metrics of verifications. Labels are closed sets of names: never a phone, a session or a purpose.

use metrics::counter;
use wharf_model::EventKind;

use crate::error::LimitPolicy;

/// A code was accepted to be sent: the first of its verification, or a further one.
pub(crate) fn sent(resent: bool) {
    let kind = if resent { "again" } else { "first" };
    counter!("wharf_otp_sends_total", "kind" => kind).increment(1);
}

/// A send met a limit.
pub(crate) fn limited(policy: LimitPolicy) {
    counter!("wharf_otp_limited_total", "policy" => policy.as_str()).increment(1);
}

/// A send was refused because hardly any code to neighbouring phones was used, because the phone is locked, or because codes
/// do not go to its country.
pub(crate) fn blocked(reason: &'static str) {
    counter!("wharf_otp_blocked_total", "reason" => reason).increment(1);
}

/// A check was answered.
pub(crate) fn checked(result: &'static str) {
    counter!("wharf_otp_checks_total", "result" => result).increment(1);
}

/// Something happened to a verification beside sends and checks.
pub(crate) fn happened(kind: EventKind) {
    counter!("wharf_otp_events_total", "type" => kind.as_str()).increment(1);
}
