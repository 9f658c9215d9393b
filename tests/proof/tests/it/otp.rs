//! The judge of one-time passwords, on a record made by hand: three visitors, four kills.

use std::collections::HashSet;

use wharf_proof::otp::mutate::{MUTATIONS, show};
use wharf_proof::otp::record::{
    About, Answer, Arrival, Ask, Attempt, Bubble, Call, Event, Floors, Kill, Verification, Visit,
};
use wharf_proof::otp::{INVARIANTS, Record, check, counts};

const WRONG: &str = "7777777777";
const NEWEST: &str = "the_newest_code_is_right";

/// A record, while it is made.
#[derive(Default)]
struct Made(Record);

impl Made {
    fn call(&mut self, visitor: u64, at: u64, ask: Ask, answer: Option<Answer>) {
        self.0.calls.push(Call {
            visitor,
            from: at,
            until: at + 10,
            ask,
            answer,
        });
    }

    fn send(&mut self, visitor: u64, at: u64, key: u32, answer: Option<Answer>) {
        let (phone, key) = (phone(visitor), format!("{visitor}-{key}"));
        self.call(visitor, at, Ask::Send { phone, key }, answer);
    }

    fn check(&mut self, visitor: u64, at: u64, (code, key): (&str, u32), answer: Option<Answer>) {
        let ask = Ask::Check {
            id: id(visitor),
            code: code.to_owned(),
            key: format!("{visitor}-{key}"),
        };
        self.call(visitor, at, ask, answer);
    }

    fn look(&mut self, visitor: u64, at: u64, state: &str) {
        let ask = Ask::Look { id: id(visitor) };
        self.call(visitor, at, ask, Some(shown(200, state, 0)));
    }

    /// A message reaches its phone, for the first time or again.
    fn arrive(&mut self, visitor: u64, at: u64, message: &str, code: &str) {
        let arrival = Arrival {
            phone: phone(visitor),
            whatsapp_id: message.to_owned(),
            code: Some(code.to_owned()),
            at,
        };
        let bubble = Bubble {
            phone: arrival.phone.clone(),
            whatsapp_id: arrival.whatsapp_id.clone(),
            code: arrival.code.clone(),
        };
        self.0.arrivals.push(arrival);
        if !self.0.bubbles.contains(&bubble) {
            self.0.bubbles.push(bubble);
        }
    }

    fn end(&mut self, visitor: u64, status: &str, messages: &[&str], checks: &[&str]) {
        let attempts = messages.iter().zip(1..).map(|(message, n)| Attempt {
            n,
            whatsapp_id: (*message).to_owned(),
        });
        self.0.verifications.push(Verification {
            id: id(visitor),
            phone: format!("+{}", phone(visitor)),
            status: status.to_owned(),
            attempts: attempts.collect(),
            checks: checks.iter().map(|check| (*check).to_owned()).collect(),
        });
        self.tell("otp.created", visitor);
        if status == "approved" {
            self.tell("otp.approved", visitor);
        }
        self.0.visits.push(Visit {
            visitor,
            phone: phone(visitor),
            id: Some(id(visitor)),
            ..Visit::default()
        });
    }

    fn tell(&mut self, kind: &str, visitor: u64) {
        self.0.events.push(Event {
            kind: kind.to_owned(),
            id: id(visitor),
        });
    }
}

fn id(visitor: u64) -> String {
    format!("otp_{visitor}")
}

fn phone(visitor: u64) -> String {
    format!("1555000000{visitor}")
}

fn shown(status: u16, state: &str, left: u32) -> Answer {
    Answer {
        status,
        state: state.to_owned(),
        attempts_remaining: Some(left),
        ..Answer::default()
    }
}

fn accepted(visitor: u64, messages: usize) -> Answer {
    Answer {
        id: Some(id(visitor)),
        messages,
        ..shown(202, "pending", 5)
    }
}

fn replayed(answer: Answer) -> Answer {
    Answer {
        replayed: true,
        ..answer
    }
}

fn approved() -> Answer {
    Answer {
        attempts_remaining: None,
        ..shown(200, "approved", 0)
    }
}

fn problem(status: u16, code: &str, left: u32) -> Answer {
    Answer {
        code: code.to_owned(),
        ..shown(status, "", left)
    }
}

fn incorrect(left: u32) -> Answer {
    problem(422, "otp_incorrect", left)
}

fn used() -> Answer {
    problem(409, "otp_already_used", 0)
}

fn no_session() -> Answer {
    Answer {
        attempts_remaining: None,
        ..problem(409, "session_unavailable", 0)
    }
}

fn exhausted() -> Answer {
    problem(410, "otp_attempts_exhausted", 0)
}

/// A run that went well.
fn record() -> Record {
    let mut made = Made::default();
    one_whose_send_was_cut_off(&mut made);
    one_who_asked_again(&mut made);
    one_who_guessed(&mut made);
    let kills = [1005, 2015, 4070, 4105];
    made.0.kills = kills
        .map(|at| Kill {
            at,
            during_start: false,
        })
        .to_vec();
    made.0.about = About {
        attempts: 5,
        floors: Floors {
            kills: 4,
            approved: 2,
            resent: 1,
            wrong: 6,
            lost: 2,
            on_the_way: 1,
            untyped: 1,
        },
        ..About::default()
    };
    made.0
}

fn one_whose_send_was_cut_off(made: &mut Made) {
    let code = "1000000001";
    made.send(1, 1000, 1, None);
    made.send(1, 1100, 1, Some(no_session()));
    made.send(1, 1150, 1, Some(replayed(accepted(1, 1))));
    made.arrive(1, 1200, "WA1", code);
    made.arrive(1, 1300, "WA1", code);
    made.check(1, 1400, (WRONG, 2), Some(incorrect(4)));
    made.check(1, 1500, (code, 3), Some(approved()));
    made.look(1, 1600, "approved");
    made.check(1, 1700, (code, 3), Some(replayed(approved())));
    made.check(1, 1800, (code, 4), Some(used()));
    made.check(1, 90_000, (code, 3), Some(used()));
    made.end(1, "approved", &["WA1"], &["incorrect", "approved"]);
}

fn one_who_asked_again(made: &mut Made) {
    let (stale, code) = ("2000000001", "2000000002");
    made.send(2, 2000, 1, Some(accepted(2, 1)));
    made.arrive(2, 2020, "WA2", stale);
    made.send(2, 4000, 2, Some(accepted(2, 2)));
    made.arrive(2, 4050, "WA3", code);
    made.check(2, 4100, (stale, 3), None);
    // The one without an answer took an attempt.
    made.check(2, 4200, (stale, 3), Some(incorrect(3)));
    made.check(2, 4300, (code, 4), Some(approved()));
    made.look(2, 4400, "approved");
    made.end(2, "approved", &["WA2", "WA3"], &["incorrect", "incorrect", "approved"]);
}

fn one_who_guessed(made: &mut Made) {
    let code = "3000000001";
    made.send(3, 5000, 1, Some(accepted(3, 1)));
    made.arrive(3, 5050, "WA4", code);
    for (key, left) in (2..).zip([4, 3, 2, 1, 0]) {
        made.check(3, 5100, (WRONG, key), Some(incorrect(left)));
    }
    made.check(3, 5200, (WRONG, 7), Some(exhausted()));
    made.check(3, 5300, (code, 8), Some(exhausted()));
    made.look(3, 5400, "max_attempts_reached");
    made.end(3, "max_attempts_reached", &["WA4"], &["incorrect"; 5]);
}

/// The place of the first check with that answer by a visitor.
fn check_by(record: &Record, visitor: u64, status: u16) -> Option<usize> {
    let fits = |call: &Call| {
        let answered = call.answer.as_ref().map(|answer| answer.status);
        call.visitor == visitor && matches!(call.ask, Ask::Check { .. }) && answered == Some(status)
    };
    record.calls.iter().position(fits)
}

#[test]
fn a_good_record_is_clean() {
    let report = check(&record());
    assert!(report.is_clean(), "{report}");
}

#[test]
fn every_mutation_is_caught_under_its_name() {
    for shown in show(&record()) {
        let report = shown.report.clone().unwrap_or_default();
        assert!(shown.is_caught(), "{shown}\n{report}");
    }
}

#[test]
fn every_invariant_is_seen_failing() {
    let expected: HashSet<&str> = MUTATIONS.iter().map(|mutation| mutation.expects).collect();
    let names: HashSet<&str> = INVARIANTS.iter().map(|invariant| invariant.name).collect();
    assert_eq!(names.len(), INVARIANTS.len());
    assert_eq!(expected, names);
}

#[test]
fn nothing_at_all_proves_nothing() {
    assert!(check(&Record::default()).names("record_is_substantial"));
}

#[test]
fn kills_are_counted_between_the_steps_that_they_fell_between() {
    let counts = counts(&record());
    assert_eq!((counts.kills, counts.early_kills), (4, 0));
    assert_eq!(
        (
            counts.kills_in_a_send,
            counts.kills_on_the_way,
            counts.kills_untyped,
            counts.kills_in_a_check
        ),
        (1, 1, 1, 1)
    );
    assert_eq!((counts.sends_kept, counts.sends_undone), (1, 0));
    assert_eq!((counts.messages, counts.sent_again, counts.resent), (4, 1, 1));
    assert_eq!((counts.approved, counts.repeated, counts.exhausted), (2, 1, 1));
}

#[test]
fn the_code_before_is_void_from_the_moment_of_the_next() {
    let mut record = record();
    let at = check_by(&record, 2, 422).unwrap();
    record.calls[at].answer = Some(approved());
    assert!(check(&record).names("no_other_code_is_right"));
}

#[test]
fn a_code_is_out_of_tries_only_when_so_many_may_have_counted() {
    let mut record = record();
    let at = check_by(&record, 3, 422).unwrap();
    // Without an answer it may have counted; never asked it cannot.
    record.calls[at].answer = None;
    let report = check(&record);
    assert!(report.is_clean(), "{report}");
    record.calls.remove(at);
    assert!(check(&record).names(NEWEST));
}

#[test]
fn an_approval_whose_answer_was_lost_is_the_use_of_the_code() {
    let mut record = record();
    let at = check_by(&record, 2, 200).unwrap();
    let mut again = record.calls[at].clone();
    record.calls[at].answer = None;
    (again.from, again.until, again.answer) = (again.from + 50, again.until + 50, Some(replayed(approved())));
    record.calls.insert(at + 1, again);
    let report = check(&record);
    assert!(report.is_clean(), "{report}");
    // Told that it is used, within the minute: nobody heard of the approval.
    record.calls[at + 1].answer = Some(used());
    assert!(check(&record).names("an_approval_is_repeated_for_a_minute"));
    // Used, and nobody can have used it.
    record.calls.remove(at);
    assert!(check(&record).names(NEWEST));
}

#[test]
fn an_approval_that_was_carried_out_twice_is_one_too_many() {
    let mut record = record();
    let at = check_by(&record, 1, 409).unwrap();
    record.calls[at].answer = Some(approved());
    let report = check(&record);
    assert!(report.names("approved_once") && report.names("approved_stays_approved"));
}

#[test]
fn attempts_do_not_vanish() {
    let mut record = record();
    let at = check_by(&record, 1, 422).unwrap();
    record.calls[at].answer = Some(incorrect(3));
    assert!(check(&record).names("every_try_counts_once"));
    record.calls[at].answer = Some(incorrect(4));
    record.verifications[0].checks.insert(0, "incorrect".to_owned());
    assert!(check(&record).names("every_try_counts_once"));
}

#[test]
fn a_phone_has_one_verification() {
    let mut record = record();
    for call in &mut record.calls {
        if let Ask::Send { phone, .. } = &mut call.ask {
            *phone = self::phone(1);
        }
    }
    assert!(check(&record).names("every_accepted_code_exists"));
}

#[test]
fn a_repetition_needs_something_to_repeat() {
    let mut record = record();
    let sent = record.calls.iter().position(|call| call.visitor == 2).unwrap();
    record.calls[sent].answer = Some(replayed(accepted(2, 1)));
    assert!(check(&record).names("one_send_per_key"));
}

#[test]
fn a_visitor_in_trouble_has_not_left() {
    let mut record = record();
    record.visits[0].trouble = Some("the phone shows no code".to_owned());
    assert!(check(&record).names("every_visitor_leaves"));
}
