//! Verifications as answers show them, and the rules of fields that several requests have.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wharf_model::{MessageStatus, Phone, VerificationStatus};
use wharf_otp::{CheckView, Found, ReceptionView, SendView, Sent, VerificationView};

use crate::address::limit_key;
use crate::error::ApiError;
use crate::rules;
use crate::wire::{MessageIdText, SessionIdText, Time, VerificationIdText, whole_seconds};

/// A message of a verification.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SendAttempt)]
pub(crate) struct AttemptBody {
    /// Which one, from 1.
    n: u32,
    /// When it was accepted.
    at: Time,
    /// The session that sends it.
    session_id: SessionIdText,
    /// The message.
    message_id: MessageIdText,
    /// How far it has come, as the `status` of a message.
    #[schema(example = "delivered")]
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
}

impl From<SendView> for AttemptBody {
    fn from(send: SendView) -> Self {
        Self {
            n: send.n,
            at: Time(send.at),
            session_id: SessionIdText(send.session_id),
            message_id: MessageIdText(send.message_id),
            status: MessageStatus::as_str(send.status),
            code: send.code,
        }
    }
}

/// A code that was tried.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CodeCheck)]
pub(crate) struct CheckBody {
    /// When.
    at: Time,
    /// `approved` or `incorrect`.
    #[schema(example = "approved")]
    result: &'static str,
}

impl From<CheckView> for CheckBody {
    fn from(check: CheckView) -> Self {
        Self {
            at: Time(check.at),
            result: check.result.as_str(),
        }
    }
}

/// A code from its first message to its end, or a text that a person is to send. Neither the code nor the text is in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationBody {
    id: VerificationIdText,
    /// `send`: Wharf sends a code. `receive`: a person sends a text, and of what concerns messages and tries there is nothing.
    #[schema(pattern = "^(send|receive)$", example = "send")]
    kind: &'static str,
    /// `pending`, `approved`, `expired`, `max_attempts_reached` or `cancelled`.
    #[schema(example = "pending")]
    status: &'static str,
    /// Who got the code, or whose number is proved, E.164; null while it is not known who will send the text.
    #[schema(required, example = "+15551234567")]
    phone: Option<String>,
    /// What for: one verification of a phone and a purpose is pending at a time.
    #[schema(example = "verify")]
    purpose: String,
    /// The session that sent its last message, or is to get the text; null where nothing is sent, to a test number.
    #[schema(required)]
    session_id: Option<SessionIdText>,
    /// Whether the phone is one of the configuration's test numbers, whose code is known: nothing was sent to it.
    test: bool,
    /// Digits of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 6)]
    length: Option<u8>,
    /// The language that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "en")]
    locale: Option<String>,
    /// The text that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "default")]
    template: Option<String>,
    created_at: Time,
    /// Until when the code can be checked, or the text counts.
    expires_at: Time,
    /// The same in seconds; 0 when it is over.
    expires_in: u64,
    /// How many seconds until the next message may be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_send_in: Option<u64>,
    /// How many seconds until the next code may be tried: always 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_check_in: Option<u64>,
    /// How many codes may still be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    attempts_remaining: Option<u32>,
    /// How many messages may still be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sends_remaining: Option<u32>,
    /// When the right code or the text came.
    #[schema(required)]
    approved_at: Option<Time>,
    /// When it came to its end.
    #[schema(required)]
    finished_at: Option<Time>,
    /// What it was created with.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Only in the answer to a send: whether the verification was pending already and sent a new code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resent: Option<bool>,
    /// Every message, first to last; only where one verification was asked for or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    send_attempts: Option<Vec<AttemptBody>>,
    /// Every code that was tried, first to last; only where one verification was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    checks: Option<Vec<CheckBody>>,
}

impl From<VerificationView> for VerificationBody {
    fn from(view: VerificationView) -> Self {
        Self {
            id: VerificationIdText(view.id),
            kind: "send",
            status: VerificationStatus::as_str(view.status),
            phone: Some(view.phone.to_string()),
            purpose: view.purpose,
            session_id: view.session_id.map(SessionIdText),
            test: view.test,
            length: Some(view.length),
            locale: Some(view.locale),
            template: Some(view.template),
            created_at: Time(view.created_at),
            expires_at: Time(view.expires_at),
            expires_in: whole_seconds(view.expires_in),
            next_send_in: Some(whole_seconds(view.next_send_in)),
            next_check_in: Some(0),
            attempts_remaining: Some(view.attempts_remaining),
            sends_remaining: Some(view.sends_remaining),
            approved_at: view.approved_at.map(Time),
            finished_at: view.finished_at.map(Time),
            metadata: view.metadata,
            resent: None,
            send_attempts: None,
            checks: None,
        }
    }
}

impl From<ReceptionView> for VerificationBody {
    fn from(view: ReceptionView) -> Self {
        Self {
            id: VerificationIdText(view.id),
            kind: "receive",
            status: VerificationStatus::as_str(view.status),
            phone: view.phone.map(|phone| phone.to_string()),
            purpose: view.purpose,
            session_id: Some(SessionIdText(view.session_id)),
            test: false,
            length: None,
            locale: None,
            template: None,
            created_at: Time(view.created_at),
            expires_at: Time(view.expires_at),
            expires_in: whole_seconds(view.expires_in),
            next_send_in: None,
            next_check_in: None,
            attempts_remaining: None,
            sends_remaining: None,
            approved_at: view.approved_at.map(Time),
            finished_at: view.finished_at.map(Time),
            metadata: view.metadata,
            resent: None,
            send_attempts: None,
            checks: None,
        }
    }
}

impl VerificationBody {
    /// With its messages: the answer to a send.
    pub(super) fn sent(sent: Sent) -> Self {
        let Sent { mut view, resent } = sent;
        let sends = std::mem::take(&mut view.sends);
        Self {
            resent: Some(resent),
            send_attempts: Some(sends.into_iter().map(AttemptBody::from).collect()),
            ..Self::from(view)
        }
    }

    /// With its messages and the codes that were tried, where there are any.
    pub(super) fn whole(found: Found) -> Self {
        let mut view = match found {
            Found::Send(view) => view,
            Found::Receive(view) => return view.into(),
        };
        let (sends, checks) = (std::mem::take(&mut view.sends), std::mem::take(&mut view.checks));
        Self {
            send_attempts: Some(sends.into_iter().map(AttemptBody::from).collect()),
            checks: Some(checks.into_iter().map(CheckBody::from).collect()),
            ..Self::from(view)
        }
    }
}

/// The right code came.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalBody {
    id: VerificationIdText,
    /// Always `approved`: whatever else becomes of a check is a problem.
    #[schema(pattern = "^approved$", example = "approved")]
    status: &'static str,
    /// Who proved that the phone is his, E.164.
    #[schema(example = "+15551234567")]
    phone: String,
    #[schema(example = "verify")]
    purpose: String,
    #[schema(required)]
    approved_at: Option<Time>,
    /// What the verification was created with.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl From<VerificationView> for ApprovalBody {
    fn from(view: VerificationView) -> Self {
        Self {
            id: VerificationIdText(view.id),
            status: VerificationStatus::as_str(view.status),
            phone: view.phone.to_string(),
            purpose: view.purpose,
            approved_at: view.approved_at.map(Time),
            metadata: view.metadata,
        }
    }
}

/// What a text looks like: so many bytes, each of which fits.
struct Form {
    lengths: RangeInclusive<usize>,
    fits: fn(u8) -> bool,
    detail: &'static str,
}

const NAME: Form = Form {
    lengths: 1..=40,
    fits: |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'),
    detail: "Must have 1 to 40 characters out of a to z, 0 to 9, `_` and `-`.",
};

const LOCALE: Form = Form {
    lengths: 2..=35,
    fits: |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
    detail: "Must be a language tag of 2 to 35 characters, such as `es` or `pt-BR`.",
};

const CODE: Form = Form {
    lengths: 6..=10,
    fits: |byte| byte.is_ascii_digit(),
    detail: "Must be 6 to 10 digits.",
};

impl Form {
    fn check(&self, text: &str) -> Result<(), garde::Error> {
        if !text.bytes().all(self.fits) {
            return Err(rules::fault("invalid_character", self.detail));
        }
        if !self.lengths.contains(&text.len()) {
            return Err(rules::fault("invalid_length", self.detail));
        }
        Ok(())
    }
}

/// The rule of names that callers choose: of purposes and templates.
pub(super) fn is_name(text: &str, (): &()) -> Result<(), garde::Error> {
    NAME.check(text)
}

/// The rule of languages.
pub(super) fn is_locale(text: &str, (): &()) -> Result<(), garde::Error> {
    LOCALE.check(text)
}

/// The rule of codes. One that breaks it counts as no attempt.
pub(super) fn is_code(code: &SecretString, (): &()) -> Result<(), garde::Error> {
    CODE.check(code.expose_secret())
}

/// The rule of phones.
pub(super) fn is_phone(text: &str, (): &()) -> Result<(), garde::Error> {
    rules::text(1, 32)(text, &())?;
    let phone = text.parse::<Phone>();
    phone.map(drop).map_err(|error| rules::fault("invalid_phone", error))
}

/// The rule of an end user's address.
pub(super) fn is_address(text: &str, (): &()) -> Result<(), garde::Error> {
    let address = text.parse::<IpAddr>();
    address
        .map(drop)
        .map_err(|_| rules::fault("invalid_address", "Must be an IPv4 or IPv6 address."))
}

/// The phone of a request.
pub(super) fn phone(text: &str) -> Result<Phone, ApiError> {
    let phone = text.parse::<Phone>();
    phone.map_err(|error| ApiError::invalid_field("/phone", "invalid_phone", error.to_string()))
}

/// What limits count of an end user's address that obeys its rule.
pub(super) fn client(text: Option<&str>) -> Option<IpAddr> {
    let address = text?.parse::<IpAddr>().ok()?;
    Some(limit_key(address.to_canonical()))
}
