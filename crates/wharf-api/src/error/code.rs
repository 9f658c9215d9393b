//! Every stable error code with its status and its words, in one table.

use http::StatusCode;

/// One row of the table, for the docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The stable code.
    pub code: &'static str,
    /// The HTTP status that it comes with.
    pub status: StatusCode,
    /// The short name of the problem; the same at every occurrence.
    pub title: &'static str,
    /// What it means and what helps.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($variant:ident => $code:literal, $status:ident, $title:literal, $meaning:literal;)*) => {
        /// A stable error code. Codes never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its row.
            pub const fn entry(self) -> CatalogueEntry {
                match self {
                    $(Self::$variant => CatalogueEntry {
                        code: $code,
                        status: StatusCode::$status,
                        title: $title,
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

codes! {
    MalformedJson => "malformed_json", BAD_REQUEST, "Malformed JSON",
        "The body is not JSON; the detail says where it breaks.";
    MalformedRequest => "malformed_request", BAD_REQUEST, "Malformed request",
        "A header or the transfer of the body is broken.";
    InvalidQuery => "invalid_query", BAD_REQUEST, "Invalid query",
        "A query parameter is unknown, repeated or out of range.";
    InvalidCursor => "invalid_cursor", BAD_REQUEST, "Invalid cursor",
        "The cursor was not given by this list. Start again without one.";
    IdempotencyKeyInvalid => "idempotency_key_invalid", BAD_REQUEST, "Invalid idempotency key",
        "Idempotency-Key must be 1 to 255 printable ASCII characters.";
    Unauthenticated => "unauthenticated", UNAUTHORIZED, "Not authenticated",
        "Send an API key as `Authorization: Bearer` or `X-Api-Key`.";
    ApiKeyMalformed => "api_key_malformed", UNAUTHORIZED, "Malformed API key",
        "The form or the checksum of the key is wrong: it was cut or mistyped.";
    ApiKeyWrongNetwork => "api_key_wrong_network", UNAUTHORIZED, "Key of the other network",
        "Sandbox builds accept wharf_test_ keys only, release builds wharf_live_ keys only.";
    ApiKeyUnknown => "api_key_unknown", UNAUTHORIZED, "Unknown API key",
        "This server never made the key, or it has rotated it more than once since.";
    ApiKeyRevoked => "api_key_revoked", UNAUTHORIZED, "Revoked API key",
        "The key was revoked.";
    ApiKeyExpired => "api_key_expired", UNAUTHORIZED, "Expired API key",
        "The key has passed its expiry.";
    ApiKeyRotated => "api_key_rotated", UNAUTHORIZED, "Rotated API key",
        "The key has a new text since it was rotated, and the time of this one is over.";
    InsufficientScope => "insufficient_scope", FORBIDDEN, "Insufficient scope",
        "The caller lacks the scope that the detail names.";
    AddressNotAllowed => "address_not_allowed", FORBIDDEN, "Address not allowed",
        "The key may not be used from this address.";
    KeyRestricted => "key_restricted", FORBIDDEN, "Restricted key",
        "The key is limited to named sessions and cannot do this.";
    CrossSiteRefused => "cross_site_refused", FORBIDDEN, "Cross-site request refused",
        "A signed-in page may send changes to its own origin only.";
    OtpCountryNotAllowed => "otp_country_not_allowed", FORBIDDEN, "Country not allowed",
        "The phone is of a country that no session of the workspace is of, and the configuration does not name it either.";
    RouteNotFound => "route_not_found", NOT_FOUND, "No such route",
        "Nothing lives at this path.";
    SessionNotFound => "session_not_found", NOT_FOUND, "No such session",
        "No session of this workspace has the id.";
    KeptStringNotFound => "kept_string_not_found", NOT_FOUND, "No such session string",
        "No session string of this workspace is kept under the id, it has expired, or its link was used.";
    MessageNotFound => "message_not_found", NOT_FOUND, "No such message",
        "No message of this workspace has the id.";
    OtpNotFound => "otp_not_found", NOT_FOUND, "No such verification",
        "No verification of this workspace has the id, none is kept for the phone, or it was deleted since.";
    OtpTemplateNotFound => "otp_template_not_found", NOT_FOUND, "No such text",
        "The workspace has no text of its own with this name and language.";
    ApiKeyNotFound => "api_key_not_found", NOT_FOUND, "No such API key",
        "No API key of this workspace has the id.";
    PlanNotFound => "plan_not_found", NOT_FOUND, "No such plan",
        "No plan of this workspace has the id.";
    MethodNotAllowed => "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The path exists but does not take this method; the Allow header lists those that it takes.";
    NotAcceptable => "not_acceptable", NOT_ACCEPTABLE, "Not acceptable",
        "The answer exists in other media types than the Accept header names.";
    NotPending => "not_pending", CONFLICT, "Nothing to scan",
        "The session shows no QR now: it is linked, not connecting, or between two QRs.";
    PasskeyNotAsked => "passkey_not_asked", CONFLICT, "No passkey wanted",
        "The session does not wait for a passkey to sign, or for its code to be confirmed.";
    AlreadyLinked => "already_linked", CONFLICT, "Already linked",
        "The session is linked to an account. Log it out to link another one.";
    NotAtRest => "not_at_rest", CONFLICT, "Session not at rest",
        "The session is connected or connecting, and its keys go on moving. Disconnect it first.";
    NotLinked => "not_linked", CONFLICT, "Not linked",
        "The session is not linked to an account, so that there is nothing to export.";
    SessionMoving => "session_moving", CONFLICT, "Session is being moved",
        "The session was exported with `move` and stays off, until `export/confirm` says that the credentials arrived or \
         `export/cancel` that they did not.";
    NotMoving => "not_moving", CONFLICT, "Session is not being moved",
        "Only a session that was exported with `move` can be confirmed or taken back.";
    CredentialsInUse => "credentials_in_use", CONFLICT, "Credentials in use",
        "Another session of this server is linked with the same credentials. Log it out or delete it first.";
    MessageNotCancellable => "message_not_cancellable", CONFLICT, "Too late to cancel",
        "Only a message that is still queued can be cancelled.";
    SessionUnavailable => "session_unavailable", CONFLICT, "No session to send with",
        "The session that is named is not connected, or none is. Another one never takes the place of the named one.";
    OtpLocked => "otp_locked", CONFLICT, "Phone locked",
        "Too many wrong codes came in a row for the phone: it gets none until a right one comes or it is unlocked.";
    OtpAlreadyUsed => "otp_already_used", CONFLICT, "Code already used",
        "The verification was approved before. A code is used once.";
    ApiKeyInactive => "api_key_inactive", CONFLICT, "API key not active",
        "The key was revoked or has expired, and gets no new text. Make another key.";
    PlanInUse => "plan_in_use", CONFLICT, "Plan in use",
        "An API key that was not revoked carries the plan. Give the key another one, or revoke it.";
    SessionQuotaReached => "session_quota_reached", CONFLICT, "No more sessions",
        "As many sessions of this API key exist as its plan allows. Delete one, or ask for a larger plan.";
    OtpTooManyTemplates => "otp_too_many_templates", CONFLICT, "Too many texts",
        "The workspace has 200 texts of its own already. Delete one first.";
    Conflict => "conflict", CONFLICT, "Conflict",
        "Something with the same unique value exists already.";
    IdempotencyInProgress => "idempotency_in_progress", CONFLICT, "Still in progress",
        "The first call with this idempotency key has not ended. Try again shortly.";
    SecretAlreadyShown => "secret_already_shown", CONFLICT, "Secret already shown",
        "The first call with this idempotency key succeeded and its secret is shown only once.";
    CursorExpired => "cursor_expired", GONE, "Cursor expired",
        "The event cursor is from before this server was restored from a backup; read the events from the start.";
    OtpExpired => "otp_expired", GONE, "Code expired",
        "The verification's time is over. Send a new code.";
    OtpAttemptsExhausted => "otp_attempts_exhausted", GONE, "Too many wrong codes",
        "As many codes were tried as may be. No code of this verification is right any more; send a new one.";
    OtpCancelled => "otp_cancelled", GONE, "Verification cancelled",
        "The verification was taken back. Send a new code.";
    BodyTooLarge => "body_too_large", PAYLOAD_TOO_LARGE, "Body too large",
        "The body is larger than this server takes.";
    UnsupportedMediaType => "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "Send the body as application/json.";
    ValidationFailed => "validation_failed", UNPROCESSABLE_ENTITY, "Validation failed",
        "Fields of the body are missing, unknown or out of range; `errors` points at each.";
    IdempotencyMismatch => "idempotency_mismatch", UNPROCESSABLE_ENTITY, "Idempotency key used for another request",
        "The same idempotency key came with another path or body before.";
    MethodUnavailable => "method_unavailable", UNPROCESSABLE_ENTITY, "Link method not available",
        "WhatsApp does not let this account be linked by code. Link it by QR.";
    ProxyFailed => "proxy_failed", UNPROCESSABLE_ENTITY, "The session's proxy failed",
        "The session's proxy did not answer, opened no way to WhatsApp, or may not be dialled. Change it, or try again.";
    PasskeyRefused => "passkey_refused", UNPROCESSABLE_ENTITY, "Passkey's answer not accepted",
        "The signature is not of the account's passkey, or came for another challenge. Connect again for a new one.";
    PairingRefused => "pairing_refused", UNPROCESSABLE_ENTITY, "No pairing code for this number",
        "WhatsApp refused the number: it has no account, or codes were asked for too often. It does not tell which.";
    OtpIncorrect => "otp_incorrect", UNPROCESSABLE_ENTITY, "Wrong code",
        "The code is not the one that was sent. The attempt counts; `attempts_remaining` says how many are left.";
    PlaceFailed => "place_failed", BAD_GATEWAY, "The other side failed",
        "The place that keeps the session string, or should keep it, did not answer or refused; the detail says which. \
         Nothing was changed.";
    PairingThrottled => "pairing_throttled", TOO_MANY_REQUESTS, "Too many pairing codes",
        "WhatsApp gives no more pairing codes for a while. Wait for Retry-After seconds, or link by QR.";
    RateLimited => "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "The rate of this key or address is used up. Wait for Retry-After seconds.";
    QuotaExceeded => "quota_exceeded", TOO_MANY_REQUESTS, "Quota used up",
        "The plan of this API key allows no more on this day; the detail names the quota. A new day begins at midnight UTC, \
         after Retry-After seconds.";
    AuthRateLimited => "auth_rate_limited", TOO_MANY_REQUESTS, "Too many failed sign-ins",
        "Too many wrong keys came from this address. Wait for Retry-After seconds.";
    OtpResendTooSoon => "otp_resend_too_soon", TOO_MANY_REQUESTS, "Too soon for another code",
        "A code is on its way to this phone. The next one may be asked for after Retry-After seconds.";
    OtpMaxSendsReached => "otp_max_sends_reached", TOO_MANY_REQUESTS, "No more codes in this verification",
        "The verification has sent all its messages. A new one can begin when this one has ended: after Retry-After \
         seconds at the latest.";
    OtpRateLimited => "otp_rate_limited", TOO_MANY_REQUESTS, "Too many codes",
        "A limit on codes is used up; the detail names it. Wait for Retry-After seconds.";
    OtpBlocked => "otp_blocked", TOO_MANY_REQUESTS, "Codes are not used",
        "Of the last codes to neighbouring phones hardly any was used: somebody may make them be sent to strangers. Wait \
         for Retry-After seconds.";
    Internal => "internal_error", INTERNAL_SERVER_ERROR, "Internal error",
        "A fault in Wharf. The log holds the cause under the request id.";
    StorageFull => "storage_full", SERVICE_UNAVAILABLE, "Storage full",
        "The server has no room to store anything. Nothing was changed.";
    StorageUnavailable => "storage_unavailable", SERVICE_UNAVAILABLE, "Storage unavailable",
        "The server cannot write now. Nothing was changed.";
    NotStored => "not_stored", SERVICE_UNAVAILABLE, "Done, but not stored yet",
        "It was carried out and could not be stored; the server tries again until it can.";
    NotReady => "not_ready", SERVICE_UNAVAILABLE, "Not ready",
        "The server cannot serve now; the detail says why.";
    RequestTimeout => "request_timeout", SERVICE_UNAVAILABLE, "Request timed out",
        "The request took too long. It may have taken effect: repeat it with the same idempotency key.";
}

/// Every code, for the docs and for the test that guards them.
pub fn catalogue() -> Vec<CatalogueEntry> {
    ErrorCode::ALL.iter().map(|code| code.entry()).collect()
}
