use super::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn closed(reason: CloseReason) -> Input {
    Input::Closed {
        reason,
        now: NOW,
        jitter: 1000,
    }
}

fn waiting(reason: CloseReason, attempt: u32, millis: u64) -> SessionState {
    SessionState::Disconnected {
        reason,
        attempt,
        next_attempt_at: Some(NOW + Duration::from_millis(millis)),
    }
}

fn off(reason: CloseReason) -> SessionState {
    SessionState::Disconnected {
        reason,
        attempt: 0,
        next_attempt_at: None,
    }
}

/// Every row that matters: a state, an input, the next state.
#[test]
fn the_table() {
    use CloseReason as Why;
    use SessionState as S;
    let qr = S::Pending(PendingStep::ScanQr { expires_at: NOW });
    let connecting = S::Pending(PendingStep::Connecting);
    let rows = [
        (S::NotStarted, Input::Connect { linked: false }, connecting),
        (S::NotStarted, Input::Connect { linked: true }, S::Authenticated),
        (
            S::AuthFailed { reason: Why::LoggedOut },
            Input::Connect { linked: false },
            connecting,
        ),
        (off(Why::LinkTimedOut), Input::Connect { linked: false }, connecting),
        (
            waiting(Why::ConnectionLost, 3, 9),
            Input::Connect { linked: true },
            S::Disconnected {
                reason: Why::ConnectionLost,
                attempt: 3,
                next_attempt_at: None,
            },
        ),
        (connecting, Input::QrShown { expires_at: NOW }, qr),
        (
            qr,
            Input::QrShown {
                expires_at: NOW + Duration::from_secs(20),
            },
            S::Pending(PendingStep::ScanQr {
                expires_at: NOW + Duration::from_secs(20),
            }),
        ),
        (qr, Input::Linked, S::Authenticated),
        (S::Authenticated, closed(Why::RestartRequired), S::Authenticated),
        (qr, closed(Why::LinkTimedOut), off(Why::LinkTimedOut)),
        (qr, closed(Why::ConnectionLost), off(Why::ConnectionLost)),
        (S::Authenticated, Input::LoggedIn, S::Authenticated),
        (S::Authenticated, Input::Opened, S::Ready),
        (waiting(Why::ConnectionLost, 3, 9), Input::LoggedIn, S::Authenticated),
        (
            S::Ready,
            closed(Why::ConnectionLost),
            waiting(Why::ConnectionLost, 1, 1_000),
        ),
        (
            waiting(Why::ConnectionLost, 1, 1_000),
            closed(Why::ConnectionLost),
            waiting(Why::ConnectionLost, 2, 2_000),
        ),
        (S::Ready, closed(Why::RateLimited), waiting(Why::RateLimited, 1, 32_000)),
        (S::Ready, closed(Why::Replaced), off(Why::Replaced)),
        (
            S::Ready,
            closed(Why::DeviceRemoved),
            S::AuthFailed {
                reason: Why::DeviceRemoved,
            },
        ),
        (
            S::Authenticated,
            closed(Why::LoggedOut),
            S::AuthFailed { reason: Why::LoggedOut },
        ),
        (
            S::Authenticated,
            closed(Why::CertificateRejected),
            off(Why::CertificateRejected),
        ),
        (S::Ready, Input::Disconnect, off(Why::Requested)),
        (
            waiting(Why::ConnectionLost, 3, 9),
            Input::Disconnect,
            off(Why::Requested),
        ),
        (S::NotStarted, Input::Disconnect, S::NotStarted),
        (S::Ready, Input::Logout, S::NotStarted),
    ];
    for (state, input, expected) in rows {
        let (next, _) = state.on(input).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(next, expected, "{state:?} on {input:?}");
    }
}

#[test]
fn what_means_nothing_changes_nothing() {
    for (state, input) in [
        (SessionState::Ready, Input::Connect { linked: true }),
        (SessionState::NotStarted, Input::Opened),
        (SessionState::Ready, Input::QrShown { expires_at: NOW }),
        (
            SessionState::AuthFailed {
                reason: CloseReason::LoggedOut,
            },
            closed(CloseReason::ConnectionLost),
        ),
    ] {
        assert_eq!(state.on(input), Err(InvalidTransition { state, input }));
    }
}

#[test]
fn the_restart_after_linking_dials_again_at_once() {
    let (_, effects) = SessionState::Authenticated
        .on(closed(CloseReason::RestartRequired))
        .unwrap();
    assert_eq!(effects, [Effect::Redial]);
}

#[test]
fn keys_are_shredded_later_only_when_the_account_unlinked_us() {
    for reason in CloseReason::ALL {
        let (_, effects) = SessionState::Ready.on(closed(reason)).unwrap();
        assert_eq!(effects.contains(&Effect::ShredLater), reason.is_unlink(), "{reason}");
    }
}

#[test]
fn the_backoff_doubles_to_five_minutes_and_never_ends() {
    let whole: Vec<u64> = (1..=12)
        .map(|n| backoff(n, CloseReason::ConnectionLost, 1000).as_secs())
        .collect();
    assert_eq!(whole, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(
        backoff(u32::MAX, CloseReason::ConnectionLost, 0),
        Duration::from_secs(150)
    );
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        any::<bool>().prop_map(|linked| Input::Connect { linked }),
        Just(Input::QrShown { expires_at: NOW }),
        Just(Input::PasskeyAsked),
        Just(Input::PasskeyShown),
        Just(Input::Linked),
        Just(Input::LoggedIn),
        Just(Input::Opened),
        Just(Input::Disconnect),
        Just(Input::Logout),
        (proptest::sample::select(CloseReason::ALL.to_vec()), any::<u16>()).prop_map(|(reason, jitter)| {
            Input::Closed {
                reason,
                now: NOW,
                jitter,
            }
        }),
    ]
}

proptest! {
    /// Whatever happens, a planned retry always has an effect that makes it, and a session that somebody must attend
    /// to has none.
    #[test]
    fn a_retry_is_planned_exactly_when_the_state_says_so(inputs in proptest::collection::vec(any_input(), 0..60)) {
        let mut state = SessionState::NotStarted;
        for input in inputs {
            let Ok((next, effects)) = state.on(input) else { continue };
            let planned = effects.iter().any(|effect| matches!(effect, Effect::DialAt(_)));
            prop_assert_eq!(planned, next.next_attempt_at().is_some());
            state = next;
        }
    }
}
