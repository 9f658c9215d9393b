//! Names the one reason why a connection ended. The engine reports several different ends as one `LoggedOut` and
//! some (515, 429, 503, a failed handshake) not at all; here they are told apart again, in one place.

use wacore::net::DisconnectReason;
use wacore::types::events::{ConnectFailureReason, Event, LoggedOut};
use wacore_binary::Node;
use wharf_model::CloseReason;
use whatsapp_rust::handshake::HandshakeError;

use crate::watch::{Observations, Verdict};

/// What one event of the engine says about the end, if anything.
pub(crate) fn from_event(event: &Event) -> Option<Verdict> {
    match event {
        Event::LoggedOut(info) => Some(logged_out(info)),
        Event::StreamReplaced(_) => Some(Verdict::plain(CloseReason::Replaced)),
        Event::TemporaryBan(ban) => Some(Verdict::with(
            CloseReason::TemporaryBan,
            format!("code {}, for {} s", ban.code.code(), ban.expire.num_seconds()),
        )),
        Event::ClientOutdated(_) => Some(Verdict::plain(CloseReason::ClientOutdated)),
        Event::ConnectFailure(failure) => Some(connect_failure(failure.reason)),
        Event::PairError(_) => Some(Verdict::plain(CloseReason::LinkFailed)),
        Event::PairingQrCodesExhausted(codes) if codes.disconnected => Some(Verdict::plain(CloseReason::LinkTimedOut)),
        _ => None,
    }
}

/// `reason` is the same for every end at stream level: only `raw` tells a removed device from a deregistered one.
fn logged_out(info: &LoggedOut) -> Verdict {
    match &info.raw {
        Some(node) if node.tag == "stream:error" => stream_level(node),
        Some(_) => connect_failure(info.reason),
        // Without a stanza it was our own logout.
        None => Verdict::plain(CloseReason::LogoutRequested),
    }
}

fn stream_level(node: &Node) -> Verdict {
    if let Some(conflict) = node.get_optional_child("conflict") {
        let kind = attribute(conflict, "type").unwrap_or_default();
        return match kind.as_str() {
            "device_removed" => Verdict::plain(CloseReason::DeviceRemoved),
            "replaced" => Verdict::plain(CloseReason::Replaced),
            _ => Verdict::with(CloseReason::LoggedOut, format!("conflict {}", printable(&kind))),
        };
    }
    match attribute(node, "code").as_deref() {
        Some("516") => Verdict::plain(CloseReason::DeviceDeregistered),
        _ => Verdict::plain(CloseReason::LoggedOut),
    }
}

fn connect_failure(reason: ConnectFailureReason) -> Verdict {
    let code = reason.code();
    let close = match code {
        401 => CloseReason::LoggedOut,
        402 => CloseReason::TemporaryBan,
        403 => CloseReason::AccountLocked,
        405 => CloseReason::ClientOutdated,
        406 => CloseReason::LoggedOutUnknown,
        500 | 503 => CloseReason::ServiceUnavailable,
        _ => CloseReason::ConnectFailed,
    };
    Verdict::with(close, format!("failure {code}"))
}

fn attribute(node: &Node, name: &str) -> Option<String> {
    node.attrs().optional_string(name).map(|text| text.into_owned())
}

/// Text from the server, fit for a log: short, plain, and no long number.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'))
        .take(40)
        .collect()
}

/// How the socket ended, when the server ended it.
pub(crate) fn from_disconnect(reason: &DisconnectReason) -> Verdict {
    match reason {
        DisconnectReason::StreamEnded => Verdict::with(CloseReason::ServerRecycle, "end of stream"),
        DisconnectReason::ServerClose { code, .. } => {
            let close = if reason.is_clean_shutdown() {
                CloseReason::ServerRecycle
            } else {
                CloseReason::ConnectionLost
            };
            Verdict::with(
                close,
                code.map_or_else(|| "close frame".to_owned(), |code| format!("close frame {code}")),
            )
        }
        DisconnectReason::ReadError(_) => Verdict::with(CloseReason::ConnectionLost, "read error"),
        DisconnectReason::Unknown => Verdict::plain(CloseReason::ConnectionLost),
    }
}

/// Why a handshake failed that was tried to learn just that.
pub(crate) fn from_handshake(error: &HandshakeError) -> Verdict {
    use wacore::handshake::HandshakeError as Core;
    match error {
        HandshakeError::Core(Core::CertVerification(_)) => Verdict::with(
            CloseReason::CertificateRejected,
            "the server's certificate chain does not verify",
        ),
        HandshakeError::Core(_) => Verdict::with(CloseReason::ConnectFailed, "the handshake failed"),
        _ => Verdict::with(CloseReason::ConnectionLost, "the connection ended during the handshake"),
    }
}

/// The reason for the end of a run: what we did ourselves first, then what was said in so many words, then what the
/// socket shows.
pub(crate) fn conclude(seen: Observations) -> Verdict {
    if seen.poisoned {
        return Verdict::plain(CloseReason::StorageFailed);
    }
    if seen.logout_requested {
        return Verdict::plain(CloseReason::LogoutRequested);
    }
    if let Some(verdict) = seen.verdict {
        return verdict;
    }
    if let Some(code) = seen.stream_error {
        return stream_code(code);
    }
    if seen.shutdown {
        return Verdict::plain(CloseReason::Shutdown);
    }
    if let Some(verdict) = seen.dial.or(seen.handshake).or(seen.disconnected) {
        return verdict;
    }
    unexplained(seen.dialled, seen.received, seen.linked, seen.hung_up)
}

fn stream_code(code: u16) -> Verdict {
    match code {
        515 => Verdict::plain(CloseReason::RestartRequired),
        429 => Verdict::plain(CloseReason::RateLimited),
        503 => Verdict::plain(CloseReason::ServiceUnavailable),
        other => Verdict::with(CloseReason::ConnectionLost, format!("stream error {other}")),
    }
}

fn unexplained(dialled: bool, received: u64, linked: bool, hung_up: bool) -> Verdict {
    match (dialled, received, linked, hung_up) {
        (false, ..) => Verdict::plain(CloseReason::EngineStopped),
        (true, 0, ..) => Verdict::with(CloseReason::ConnectionLost, "the server did not answer the handshake"),
        // The engine expects the restart after linking and says nothing when the server closes without a 515.
        (true, _, true, _) => Verdict::plain(CloseReason::RestartRequired),
        // Its watchdogs (no frame within the deadline, no answer to the first synchronisation) close without a word.
        (true, _, false, true) => Verdict::with(CloseReason::KeepaliveTimeout, "the engine gave the connection up"),
        (true, _, false, false) => Verdict::plain(CloseReason::ConnectionLost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::types::events::PairingQrCodesExhausted;
    use wacore_binary::builder::NodeBuilder;

    fn stream_error(code: &'static str, conflict: Option<&'static str>) -> Event {
        let mut builder = NodeBuilder::new("stream:error").attr("code", code);
        if let Some(kind) = conflict {
            builder = builder.children([NodeBuilder::new("conflict").attr("type", kind).build()]);
        }
        logged_out_with(builder.build(), ConnectFailureReason::LoggedOut)
    }

    fn logged_out_with(raw: Node, reason: ConnectFailureReason) -> Event {
        Event::LoggedOut(LoggedOut::builder().on_connect(false).reason(reason).raw(raw).build())
    }

    fn reason(event: &Event) -> CloseReason {
        from_event(event).unwrap().reason
    }

    #[test]
    fn ends_at_stream_level_are_told_apart() {
        assert_eq!(
            reason(&stream_error("401", Some("device_removed"))),
            CloseReason::DeviceRemoved
        );
        assert_eq!(reason(&stream_error("401", None)), CloseReason::LoggedOut);
        assert_eq!(reason(&stream_error("516", None)), CloseReason::DeviceDeregistered);
        assert_eq!(reason(&stream_error("401", Some("something"))), CloseReason::LoggedOut);
    }

    #[test]
    fn refusals_of_the_login_are_told_apart() {
        let failure = || NodeBuilder::new("failure").build();
        for (engine, ours) in [
            (ConnectFailureReason::LoggedOut, CloseReason::LoggedOut),
            (ConnectFailureReason::AccountLocked, CloseReason::AccountLocked),
            (ConnectFailureReason::UnknownLogout, CloseReason::LoggedOutUnknown),
        ] {
            assert_eq!(reason(&logged_out_with(failure(), engine)), ours);
        }
        for (code, ours) in [
            (402, CloseReason::TemporaryBan),
            (405, CloseReason::ClientOutdated),
            (500, CloseReason::ServiceUnavailable),
            (503, CloseReason::ServiceUnavailable),
            (418, CloseReason::ConnectFailed),
        ] {
            assert_eq!(connect_failure(ConnectFailureReason::from(code)).reason, ours, "{code}");
        }
    }

    #[test]
    fn an_unused_qr_ends_the_attempt_only_when_the_engine_hung_up() {
        let exhausted = |disconnected| {
            Event::PairingQrCodesExhausted(PairingQrCodesExhausted::builder().disconnected(disconnected).build())
        };
        assert_eq!(reason(&exhausted(true)), CloseReason::LinkTimedOut);
        assert_eq!(from_event(&exhausted(false)), None);
    }

    #[test]
    fn our_own_acts_come_before_their_consequences() {
        let seen = Observations {
            shutdown: true,
            dialled: true,
            received: 9,
            hung_up: true,
            disconnected: Some(Verdict::plain(CloseReason::ConnectionLost)),
            ..Observations::default()
        };
        assert_eq!(conclude(seen.clone()).reason, CloseReason::Shutdown);
        let seen = Observations {
            logout_requested: true,
            ..seen
        };
        assert_eq!(conclude(seen.clone()).reason, CloseReason::LogoutRequested);
        assert_eq!(
            conclude(Observations { poisoned: true, ..seen }).reason,
            CloseReason::StorageFailed
        );
    }

    #[test]
    fn a_stream_code_explains_the_close_that_follows() {
        for (code, ours) in [
            (515, CloseReason::RestartRequired),
            (429, CloseReason::RateLimited),
            (503, CloseReason::ServiceUnavailable),
        ] {
            let seen = Observations {
                stream_error: Some(code),
                disconnected: Some(Verdict::plain(CloseReason::ServerRecycle)),
                ..Observations::default()
            };
            assert_eq!(conclude(seen).reason, ours);
        }
    }

    #[test]
    fn silence_is_explained_by_the_socket() {
        let open = Observations {
            dialled: true,
            ..Observations::default()
        };
        assert_eq!(conclude(Observations::default()).reason, CloseReason::EngineStopped);
        assert_eq!(conclude(open.clone()).reason, CloseReason::ConnectionLost);
        let talked = Observations {
            received: 3,
            sent: 4,
            hung_up: true,
            ..open
        };
        assert_eq!(conclude(talked.clone()).reason, CloseReason::KeepaliveTimeout);
        assert_eq!(
            conclude(Observations { linked: true, ..talked }).reason,
            CloseReason::RestartRequired
        );
    }
}
