use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// A counter in the clothes of a random source: even, repeatable, no two alike.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let next = self.0.fetch_add(1, Ordering::Relaxed);
            *byte = next.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0];
        }
    }
}

fn chat(number: u8) -> Jid {
    format!("15550000{number:03}@s.whatsapp.net").parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn ask(chat: &Jid) -> Ask<'_> {
    Ask {
        chat,
        lane: Lane::Interactive,
        opens_chat: false,
    }
}

#[test]
fn the_first_message_goes_at_once() {
    let mut pacer = Pacer::new(PacingPolicy::default(), Vec::new(), Vec::new());
    assert_eq!(pacer.ask(at(0), ask(&chat(1))), Verdict::Go);
}

#[test]
fn the_gap_holds_back_the_whole_session() {
    let mut pacer = Pacer::new(PacingPolicy::default(), Vec::new(), Vec::new());
    pacer.record(at(0), ask(&chat(1)), &Counter::default());
    let Verdict::SessionWaits(until) = pacer.ask(at(0), ask(&chat(2))) else {
        panic!("no gap")
    };
    assert!((at(1_000)..=at(5_000)).contains(&until));
    assert_eq!(pacer.ask(until, ask(&chat(2))), Verdict::Go);
}

#[test]
fn one_recipient_waits_and_others_do_not() {
    let mut pacer = Pacer::new(PacingPolicy::default(), Vec::new(), Vec::new());
    pacer.record(at(0), ask(&chat(1)), &Counter::default());
    assert_eq!(pacer.ask(at(5_000), ask(&chat(1))), Verdict::MessageWaits(at(6_000)));
    assert_eq!(pacer.ask(at(5_000), ask(&chat(2))), Verdict::Go);
}

#[test]
fn the_daily_cap_holds_new_chats_and_lets_passwords_and_known_chats_go() {
    let policy = PacingPolicy {
        new_chats_per_day: 2,
        ..PacingPolicy::default()
    };
    let mut pacer = Pacer::new(policy, Vec::new(), vec![at(-3_600_000), at(-7_200_000)]);
    let jid = chat(1);
    let new = Ask {
        opens_chat: true,
        ..ask(&jid)
    };
    let day = 24 * 3_600_000;
    assert_eq!(pacer.ask(at(0), new), Verdict::MessageWaits(at(day - 7_200_000)));
    assert_eq!(pacer.ask(at(0), Ask { lane: Lane::Otp, ..new }), Verdict::Go);
    assert_eq!(pacer.ask(at(0), ask(&jid)), Verdict::Go);
    assert_eq!(pacer.ask(at(day - 7_200_000), new), Verdict::Go);
}

#[test]
fn an_open_policy_never_waits() {
    let mut pacer = Pacer::new(PacingPolicy::open(), Vec::new(), Vec::new());
    for _ in 0..1_000 {
        assert_eq!(pacer.ask(at(0), ask(&chat(1))), Verdict::Go);
        pacer.record(at(0), ask(&chat(1)), &Counter::default());
    }
}

#[test]
fn a_pause_that_whatsapp_asks_for_holds_even_an_open_policy() {
    let mut pacer = Pacer::new(PacingPolicy::open(), Vec::new(), Vec::new());
    pacer.hold(at(60_000));
    assert_eq!(pacer.ask(at(0), ask(&chat(1))), Verdict::SessionWaits(at(60_000)));
    assert_eq!(pacer.ask(at(60_000), ask(&chat(1))), Verdict::Go);
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_a_session() {
    let mut pacer = Pacer::new(PacingPolicy::default(), Vec::new(), Vec::new());
    pacer.record(at(0), ask(&chat(1)), &Counter::default());
    let hour = 3_600_000;
    let Verdict::SessionWaits(until) = pacer.ask(at(-hour), ask(&chat(2))) else {
        panic!("no gap")
    };
    assert!(until <= at(5_000 - hour));
}

#[test]
fn a_restart_does_not_refill_the_bucket() {
    let policy = PacingPolicy {
        per_minute: 2,
        ..PacingPolicy::default()
    };
    let mut pacer = Pacer::new(policy, vec![at(-10_000), at(-50_000)], Vec::new());
    assert_eq!(pacer.ask(at(0), ask(&chat(1))), Verdict::SessionWaits(at(10_000)));
}

#[test]
fn what_is_over_is_forgotten() {
    let policy = PacingPolicy {
        per_minute: 100_000,
        gap_max: Duration::ZERO,
        gap_min: Duration::ZERO,
        ..PacingPolicy::default()
    };
    let mut pacer = Pacer::new(policy, Vec::new(), Vec::new());
    for number in 0..100_000_u32 {
        let jid: Jid = format!("{}@s.whatsapp.net", 15_550_000_000_u64 + u64::from(number))
            .parse()
            .unwrap();
        pacer.record(at(i64::from(number) * 100), ask(&jid), &Counter::default());
    }
    assert!(pacer.spent.len() <= 600);
    assert!(pacer.recipients.len() <= 1_000, "{}", pacer.recipients.len());
}

#[derive(Clone, Debug)]
struct Wish {
    after: i64,
    chat: u8,
    lane: Lane,
    opens_chat: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    let lane = proptest::sample::select(Lane::ALL.to_vec());
    (0..20_000_i64, 0..5_u8, lane, any::<bool>()).prop_map(|(after, chat, lane, opens_chat)| Wish {
        after,
        chat,
        lane,
        opens_chat,
    })
}

fn policy() -> impl Strategy<Value = PacingPolicy> {
    (1..30_u32, 0..3_000_u64, 0..3_000_u64, 0..10_000_u64, 0..6_u32).prop_map(
        |(per_minute, gap_min, more, per_recipient, new_chats_per_day)| PacingPolicy {
            per_minute,
            gap_min: Duration::from_millis(gap_min),
            gap_max: Duration::from_millis(gap_min + more),
            per_recipient: Duration::from_millis(per_recipient),
            new_chats_per_day,
            unsafe_open: false,
        },
    )
}

/// Follows the pacer with a fake clock: each wish is sent as soon as it may be, or dropped when that is too far off.
fn sends(policy: &PacingPolicy, wishes: &[Wish]) -> Vec<(Timestamp, Wish)> {
    let mut pacer = Pacer::new(policy.clone(), Vec::new(), Vec::new());
    let random = Counter::default();
    let mut now = at(0);
    let mut sent = Vec::new();
    for wish in wishes {
        now = now + Duration::from_millis(u64::try_from(wish.after).unwrap());
        let jid = chat(wish.chat);
        let ask = Ask {
            chat: &jid,
            lane: wish.lane,
            opens_chat: wish.opens_chat,
        };
        for _ in 0..3 {
            match pacer.ask(now, ask) {
                Verdict::Go => {
                    pacer.record(now, ask, &random);
                    sent.push((now, wish.clone()));
                    break;
                }
                Verdict::SessionWaits(until) => now = until,
                Verdict::MessageWaits(until) if until.since(now) < MINUTE => now = until,
                Verdict::MessageWaits(_) => break,
            }
        }
    }
    sent
}

fn most_within(times: &[Timestamp], window: Duration) -> usize {
    let within = |start: &Timestamp| {
        times
            .iter()
            .filter(|at| *at >= start && at.since(*start) < window)
            .count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn the_rate_holds_in_every_window(policy in policy(), wishes in proptest::collection::vec(wish(), 1..120)) {
        let times: Vec<_> = sends(&policy, &wishes).iter().map(|(at, _)| *at).collect();
        prop_assert!(most_within(&times, MINUTE) <= policy.per_minute as usize);
    }

    #[test]
    fn gaps_hold_for_session_and_recipient(policy in policy(), wishes in proptest::collection::vec(wish(), 1..120)) {
        let sent = sends(&policy, &wishes);
        for pair in sent.windows(2) {
            prop_assert!(pair[1].0.since(pair[0].0) >= policy.gap_min);
        }
        for number in 0..5 {
            let times: Vec<_> = sent.iter().filter(|(_, wish)| wish.chat == number).map(|(at, _)| *at).collect();
            for pair in times.windows(2) {
                prop_assert!(pair[1].since(pair[0]) >= policy.per_recipient);
            }
        }
    }

    #[test]
    fn the_daily_cap_holds(policy in policy(), wishes in proptest::collection::vec(wish(), 1..120)) {
        let opened = |(_, wish): &&(Timestamp, Wish)| wish.opens_chat && wish.lane != Lane::Otp;
        let times: Vec<_> = sends(&policy, &wishes).iter().filter(opened).map(|(at, _)| *at).collect();
        prop_assert!(most_within(&times, DAY) <= policy.new_chats_per_day as usize);
    }

    #[test]
    fn gaps_are_not_all_alike(seed in any::<u64>()) {
        let random = Counter(AtomicU64::new(seed));
        let pacer = Pacer::new(PacingPolicy::default(), Vec::new(), Vec::new());
        let gaps: std::collections::BTreeSet<_> = (0..50).map(|_| pacer.gap(&random)).collect();
        prop_assert!(gaps.len() > 10);
        prop_assert!(gaps.iter().all(|gap| (Duration::from_secs(1)..=Duration::from_secs(5)).contains(gap)));
    }
}
