//! A code is sent: the request is read, a session chosen, everything sealed; then one unit of work does it all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wharf_model::{ApiKeyId, EventKind, Phone, SessionId, VerificationId, WorkspaceId};
use wharf_session::{AcceptError, Idempotent, NewCode, Outcome};
use wharf_storage::usage::Allowance;
use wharf_storage::verifications::{self as rows, Counted};
use wharf_storage::{Blind, Queue, StorageError, WorkspaceKeys};

use super::order::{Limit, Order, Outgoing, Refusal};
use super::{Teller, Verifications};
use crate::config::{OtpConfig, Rate};
use crate::country::Country;
use crate::error::{LimitPolicy, OtpError};
use crate::once::{self, Once};
use crate::template::Template;
use crate::view::VerificationView;
use crate::{code, telemetry};

/// How long an answer is repeated.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a verification is for where the caller says nothing.
const PURPOSE: &str = "verify";

/// The longest name of a purpose or a text, in characters.
const MAX_NAME: usize = 40;

/// The largest metadata, in bytes of JSON, as of messages.
const MAX_METADATA: usize = 16 * 1024;

/// A code to be sent.
#[derive(Clone)]
pub struct SendCode {
    /// To whom.
    pub phone: Phone,
    /// Through this session and no other; `None`: through one that is fit.
    pub session: Option<SessionId>,
    /// The sessions that the caller may use; `None`: all.
    pub allowed: Option<Vec<SessionId>>,
    /// Digits of the code.
    pub length: Option<u8>,
    /// How long it can be checked.
    pub ttl: Option<Duration>,
    /// The language of the message.
    pub locale: Option<String>,
    /// Its text.
    pub template: Option<String>,
    /// What for: one verification of a phone and a purpose is pending at a time.
    pub purpose: Option<String>,
    /// The end user's address, for the limit on it.
    pub client: Option<IpAddr>,
    /// The API key that asks.
    pub key: Option<ApiKeyId>,
    /// Whose quota it counts towards; `None` for nobody's.
    pub allowance: Option<Allowance>,
    /// The caller's own JSON object.
    pub metadata: Option<Value>,
}

/// Logs are written with `Debug`: numbers of people must not reach them.
impl std::fmt::Debug for SendCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendCode")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A code was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its verification, with its messages.
    pub view: VerificationView,
    /// The verification was there already: it has a new code now.
    pub resent: bool,
}

/// A code, and how it goes.
struct Way {
    code: String,
    /// `None`: the phone is a test number, whose code is known and goes to nobody (OTP-18).
    session: Option<SessionId>,
    country: Option<Country>,
}

/// The request with its defaults, within bounds.
struct Wanted {
    length: u8,
    ttl: Duration,
    purpose: String,
}

impl Wanted {
    fn read(config: &OtpConfig, new: &SendCode) -> Result<Self, OtpError> {
        let (length, ttl) = (new.length.unwrap_or(config.length), ttl(config, new.ttl)?);
        if !OtpConfig::LENGTHS.contains(&length) {
            return Err(invalid("length", "out_of_range", "Must be between 6 and 10."));
        }
        check_metadata(new.metadata.as_ref())?;
        Ok(Self {
            length,
            ttl,
            purpose: purpose(new.purpose.clone())?,
        })
    }
}

/// How long a code lives: as the caller says, or as it is configured.
pub(super) fn ttl(config: &OtpConfig, named: Option<Duration>) -> Result<Duration, OtpError> {
    let ttl = named.unwrap_or(config.ttl);
    if OtpConfig::TTLS.contains(&ttl) {
        return Ok(ttl);
    }
    Err(invalid("ttl", "out_of_range", "Must be between 60 and 600."))
}

/// The caller's own JSON must be an object, and not too large.
pub(super) fn check_metadata(metadata: Option<&Value>) -> Result<(), OtpError> {
    if metadata.is_some_and(|json| !json.is_object() || json.to_string().len() > MAX_METADATA) {
        return Err(invalid("metadata", "too_large", "Must be an object of at most 16 KiB."));
    }
    Ok(())
}

/// The purpose that a caller names, or the default.
pub(super) fn purpose(named: Option<String>) -> Result<String, OtpError> {
    let purpose = named.unwrap_or_else(|| PURPOSE.to_owned());
    if is_name(&purpose) {
        return Ok(purpose);
    }
    let wanted = "Must be 1 to 40 of a to z, 0 to 9, `_` and `-`.";
    Err(invalid("purpose", "invalid_value", wanted))
}

/// Whether callers may name a purpose or a text so.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
}

pub(super) fn invalid(field: &'static str, code: &'static str, detail: &str) -> OtpError {
    OtpError::Invalid {
        field,
        code,
        detail: detail.to_owned(),
    }
}

/// What stands in the index of verifications for a phone. Of one spelling alone: the other one may be somebody else's, who
/// must not be sent the code that proves this one.
pub(super) fn phone_index(keys: &WorkspaceKeys, phone: &Phone) -> Blind {
    keys.blind("phone", phone.digits())
}

/// What limits count for a phone; the same for both spellings of a number that has two.
fn counted_index(keys: &WorkspaceKeys, phone: &Phone) -> Blind {
    keys.blind("counted phone", &one_spelling(phone))
}

/// Neighbours of a phone have its number but for the last four digits (OTP-13).
fn prefix_index(keys: &WorkspaceKeys, phone: &Phone) -> Blind {
    keys.blind("phone prefix", &prefix_of(phone))
}

fn prefix_of(phone: &Phone) -> String {
    let mut digits = one_spelling(phone);
    digits.truncate(digits.len().saturating_sub(4));
    digits
}

/// Whoever writes a number in its other spelling has no second set of limits.
pub(crate) fn one_spelling(phone: &Phone) -> String {
    let other = phone.other_spelling();
    let digits = other.as_ref().map(Phone::digits).into_iter().chain([phone.digits()]);
    digits.min().unwrap_or_default().to_owned()
}

impl Verifications {
    /// Sends a code: a new verification, or a new code for the one that is pending. When this returns it is durable, and the
    /// message will be sent however often the process dies.
    ///
    /// # Errors
    /// Why not; nothing is stored then.
    pub async fn send(
        &self,
        workspace: WorkspaceId,
        new: SendCode,
        idempotent: Option<Idempotent<Sent>>,
    ) -> Result<Outcome<Sent>, OtpError> {
        let cx = &self.cx;
        let wanted = Wanted::read(&cx.config, &new)?;
        let keys = cx.storage.workspace_keys(workspace).await.map_err(OtpError::Storage)?;
        let once = once::once(idempotent, &keys, (cx.clock.now(), KEPT));
        let key = once.as_ref().map(|(key, _)| key.clone());
        let ready = match self.ready(&keys, &new, wanted.length).await {
            Ok(ready) => ready,
            // What was sent before is told again, whether it could be sent now or not.
            Err(error) => return self.replayed(&keys, key).await?.ok_or(error),
        };
        let order = Arc::new(self.order(&keys, &new, wanted, ready).await?);
        let written = self.carry_out(Arc::clone(&order), once).await;
        match once::outcome(&keys, key.as_ref(), written).map_err(of_unit) {
            Ok(outcome) => {
                if let Outcome::New(sent) = &outcome {
                    if !sent.resent {
                        telemetry::happened(EventKind::OtpCreated);
                    }
                    if let Some(outgoing) = &order.outgoing {
                        outgoing.message.accepted();
                        telemetry::sent(sent.resent);
                    }
                    cx.earlier.notify_one();
                }
                Ok(outcome)
            }
            Err(OtpError::Blocked { wait }) => {
                let prefix = prefix_of(&new.phone);
                cx.tell_blocked(&keys, (&prefix, order.prefix), &new, wait).await;
                Err(OtpError::Blocked { wait })
            }
            Err(error) => Err(error),
        }
    }

    /// Claim, effect and stored answer are one unit of work.
    async fn carry_out(&self, order: Arc<Order>, once: Once<Sent>) -> Result<Sent, StorageError> {
        let written = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let Some((key, render)) = once else {
                    return order.carry_out(tx).await;
                };
                key.claim(tx).await?;
                let sent = order.carry_out(tx).await?;
                key.keep(tx, &once::rendered(render, &sent)?).await?;
                Ok(sent)
            })
        });
        written.await
    }

    /// The answer that is kept under a key, if there is one.
    async fn replayed(&self, keys: &WorkspaceKeys, key: Option<once::Key>) -> Result<Option<Outcome<Sent>>, OtpError> {
        let Some(key) = key else { return Ok(None) };
        let claim = key.clone();
        let looked = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                claim.claim(tx).await?;
                claim.give_back(tx).await
            })
        });
        match once::outcome(keys, Some(&key), looked.await)? {
            Outcome::Replayed(answer) => Ok(Some(Outcome::Replayed(answer))),
            Outcome::New(()) => Ok(None),
        }
    }

    /// What the message says, and how it goes.
    async fn ready(&self, keys: &WorkspaceKeys, new: &SendCode, length: u8) -> Result<(Template, Way), OtpError> {
        let template = self.template(keys, new).await?;
        Ok((template, self.way(keys.workspace(), new, length).await?))
    }

    /// Whether and how a code can reach the phone.
    async fn way(&self, workspace: WorkspaceId, new: &SendCode, length: u8) -> Result<Way, OtpError> {
        let cx = &self.cx;
        if let Some(known) = cx.config.test_numbers.code_of(&new.phone, cx.clock.now()) {
            return Ok(Way {
                code: known.to_owned(),
                session: None,
                country: Country::of(&new.phone),
            });
        }
        let session = self.session(workspace, new).await?;
        let country = self.allowed_country(workspace, &new.phone).await?;
        Ok(Way {
            code: code::generate(&*cx.random, length),
            session: Some(session),
            country,
        })
    }

    /// A named session, if it can send; never another one in its place. Without a name one of those that can.
    async fn session(&self, workspace: WorkspaceId, new: &SendCode) -> Result<SessionId, OtpError> {
        let (cx, allowed) = (&self.cx, new.allowed.as_deref());
        if let Some(session) = new.session {
            return self.named(workspace, session, allowed).await;
        }
        let fit = self.connected(workspace, allowed);
        let chosen = cx.deliveries.pool.choose(&fit, cx.clock.now(), &*cx.random);
        chosen.ok_or(OtpError::SessionUnavailable)
    }

    /// The session that a caller names, if he may use it and it is connected.
    pub(super) async fn named(
        &self,
        workspace: WorkspaceId,
        session: SessionId,
        allowed: Option<&[SessionId]>,
    ) -> Result<SessionId, OtpError> {
        let sessions = &self.cx.sessions;
        let there = sessions.has(workspace, session).await.map_err(OtpError::Storage)?;
        if !there || allowed.is_some_and(|allowed| !allowed.contains(&session)) {
            return Err(OtpError::NoSession);
        }
        if sessions.can_send(workspace, session) {
            Ok(session)
        } else {
            Err(OtpError::SessionUnavailable)
        }
    }

    /// The sessions that are connected, of those that a caller may use.
    pub(super) fn connected(&self, workspace: WorkspaceId, allowed: Option<&[SessionId]>) -> Vec<SessionId> {
        let mut connected = self.cx.sessions.that_can_send(workspace);
        connected.retain(|session| allowed.is_none_or(|allowed| allowed.contains(session)));
        connected
    }

    async fn order(
        &self,
        keys: &Arc<WorkspaceKeys>,
        new: &SendCode,
        wanted: Wanted,
        (template, way): (Template, Way),
    ) -> Result<Order, OtpError> {
        let cx = &self.cx;
        let outgoing = self
            .outgoing(keys.workspace(), new, (wanted.ttl, &template, &way))
            .await?;
        let id = VerificationId::generate(&*cx.clock, &*cx.random);
        let client = new.client.map(|client| keys.blind("client", &client.to_string()));
        let (counted, prefix) = (counted_index(keys, &new.phone), prefix_index(keys, &new.phone));
        Ok(Order {
            id,
            outgoing,
            allowed: new.allowed.clone(),
            phone: phone_index(keys, &new.phone),
            counted,
            prefix,
            client,
            country: way.country,
            key: new.key,
            allowance: new.allowance,
            sealed_phone: rows::seal_phone(keys, id, &new.phone.to_string()).map_err(OtpError::Storage)?,
            metadata: new.metadata.as_ref().map(|json| json.to_string().into_bytes()),
            purpose: wanted.purpose,
            wording: template.wording(),
            // That of a test number is as long as it is.
            length: u8::try_from(way.code.len()).unwrap_or(wanted.length),
            ttl: wanted.ttl,
            limits: self.limits(counted, prefix, client, new.key, way.session),
            code: way.code,
            now: cx.clock.now(),
            config: cx.config.clone(),
            keys: Arc::clone(keys),
            teller: Teller::new(cx, keys),
        })
    }

    /// The message, where there is a session to send it.
    async fn outgoing(
        &self,
        workspace: WorkspaceId,
        new: &SendCode,
        (ttl, template, way): (Duration, &Template, &Way),
    ) -> Result<Option<Outgoing>, OtpError> {
        let Some(session) = way.session else {
            return Ok(None);
        };
        let message = NewCode {
            session,
            phone: new.phone.clone(),
            text: template.render(&way.code, ttl),
            wording: template.wording(),
            expires_in: ttl,
            metadata: new.metadata.clone(),
        };
        let message = self
            .cx
            .sessions
            .prepare_code(workspace, message)
            .await
            .map_err(refused)?;
        Ok(Some(Outgoing { session, message }))
    }

    /// The limits that are on, and what they count.
    fn limits(
        &self,
        phone: Blind,
        prefix: Blind,
        client: Option<Blind>,
        key: Option<ApiKeyId>,
        session: Option<SessionId>,
    ) -> Vec<Limit> {
        let config = &self.cx.config;
        let counted = [
            (LimitPolicy::Phone, config.per_phone, Some(Counted::Phone(phone))),
            (
                LimitPolicy::PhoneDaily,
                config.per_phone_daily,
                Some(Counted::Phone(phone)),
            ),
            (LimitPolicy::Prefix, config.per_prefix, Some(Counted::Prefix(prefix))),
            (LimitPolicy::Client, config.per_client, client.map(Counted::Client)),
            (LimitPolicy::Key, config.per_key, key.map(Counted::Key)),
            (LimitPolicy::Session, config.per_session, session.map(Counted::Session)),
        ];
        let limit = |(policy, rate, counted): (LimitPolicy, Rate, Option<Counted>)| {
            let counted = counted.filter(|_| rate.most > 0)?;
            Some(Limit { policy, rate, counted })
        };
        counted.into_iter().filter_map(limit).collect()
    }
}

fn refused(error: AcceptError) -> OtpError {
    match error {
        AcceptError::NoSession => OtpError::NoSession,
        AcceptError::Stopping => OtpError::Stopping,
        AcceptError::Storage(error) => OtpError::Storage(error),
        // A text of ours, within bounds that were read above.
        other => OtpError::Storage(StorageError::rejected(other)),
    }
}

/// Why the unit came to nothing.
fn of_unit(error: OtpError) -> OtpError {
    let OtpError::Storage(error) = error else {
        return error;
    };
    match (error.rejection::<Refusal>(), &error) {
        (Some(Refusal::TooSoon(standing)), _) => OtpError::TooSoon(*standing),
        (Some(Refusal::NoSendsLeft(standing)), _) => OtpError::NoSendsLeft(*standing),
        (Some(Refusal::Limited { policy, wait }), _) => {
            telemetry::limited(*policy);
            OtpError::Limited {
                policy: *policy,
                wait: *wait,
            }
        }
        (Some(Refusal::Blocked { wait }), _) => {
            telemetry::blocked("low_conversion");
            OtpError::Blocked { wait: *wait }
        }
        (Some(Refusal::Elsewhere), _) => OtpError::SessionUnavailable,
        (Some(Refusal::Locked), _) => {
            telemetry::blocked("too_many_failures");
            OtpError::Locked
        }
        (None, StorageError::NotFound("session")) => OtpError::NoSession,
        (None, _) => OtpError::of_unit(error),
    }
}
