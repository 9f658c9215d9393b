//! Breaks a good record on purpose, one thing at a time, and demands that the judge names the right sentence.

use super::check::{Told, check};
use super::record::{Answer, Arrival, Ask, Bubble, Call, Event, Record, Verification};
use crate::mutate::{Mutation, Shown, mutation};

/// Every way.
pub const MUTATIONS: [Mutation<Record>; 27] = [
    mutation(
        "an accepted verification is gone",
        "every_accepted_code_exists",
        lose_one,
    ),
    mutation(
        "a verification is there that nobody was told of",
        "every_accepted_code_exists",
        invent_one,
    ),
    mutation(
        "a verification is for another phone",
        "every_accepted_code_exists",
        move_one,
    ),
    mutation(
        "a repeated send made a second verification",
        "one_send_per_key",
        answer_with_another,
    ),
    mutation(
        "a repeated send was carried out again",
        "one_send_per_key",
        carry_out_again,
    ),
    mutation(
        "a verification has a message that nobody asked for",
        "one_send_per_key",
        add_a_message,
    ),
    mutation("a send is refused", "only_a_missing_session_refuses", refuse_a_send),
    mutation("a code never reaches its phone", "every_code_arrives", lose_an_arrival),
    mutation("a phone forgets a code", "every_code_arrives", lose_a_bubble),
    mutation(
        "a message is sent again with another code",
        "one_code_per_message",
        change_the_second_copy,
    ),
    mutation(
        "a new message says the code before",
        "one_code_per_message",
        say_the_same_again,
    ),
    mutation(
        "a phone shows a code that nobody asked for",
        "nothing_else_is_shown",
        show_another,
    ),
    mutation(
        "the newest message comes before the first one",
        "nothing_else_is_shown",
        swap_two_arrivals,
    ),
    mutation(
        "the newest code is wrong",
        "the_newest_code_is_right",
        refuse_the_right_code,
    ),
    mutation(
        "the newest code is used before anybody typed it",
        "the_newest_code_is_right",
        use_the_right_code,
    ),
    mutation(
        "a wrong code is approved",
        "no_other_code_is_right",
        approve_a_wrong_code,
    ),
    mutation("two checks are approved", "approved_once", approve_again),
    mutation("two approvals are listed", "approved_once", list_again),
    mutation("an approval is told twice", "approved_once", tell_again),
    mutation(
        "an approved verification is shown as pending",
        "approved_stays_approved",
        show_as_pending,
    ),
    mutation(
        "an approved verification ends as pending",
        "approved_stays_approved",
        end_as_pending,
    ),
    mutation("a used code is only wrong", "approved_stays_approved", forget_the_use),
    mutation(
        "a lost approval is not repeated",
        "an_approval_is_repeated_for_a_minute",
        do_not_repeat,
    ),
    mutation(
        "an approval is repeated for ever",
        "an_approval_is_repeated_for_a_minute",
        repeat_late,
    ),
    mutation("attempts come back", "every_try_counts_once", give_attempts_back),
    mutation("a visitor never leaves", "every_visitor_leaves", keep_a_visitor),
    mutation("the record is empty", "record_is_substantial", empty),
];

/// Breaks copies of a record in every way.
pub fn show(record: &Record) -> Vec<Shown> {
    let each = MUTATIONS.iter().map(|mutation| mutation.show(record, check));
    each.collect()
}

/// The place of the first call that fits.
fn find(record: &Record, fits: impl Fn(&Call) -> bool) -> Option<usize> {
    record.calls.iter().position(fits)
}

/// The answer of the first call that fits.
fn answer_where(record: &mut Record, fits: impl Fn(&Call) -> bool) -> Option<&mut Answer> {
    let at = find(record, fits)?;
    record.calls.get_mut(at)?.answer.as_mut()
}

fn is_told(call: &Call, what: Told) -> bool {
    matches!(call.ask, Ask::Check { .. }) && Told::of(call) == what
}

/// The first check that was told something is told something else.
fn tell_instead(record: &mut Record, what: Told, instead: Answer) -> Option<()> {
    *answer_where(record, |call| is_told(call, what))? = instead;
    Some(())
}

fn wrong() -> Answer {
    Answer {
        status: 422,
        code: "otp_incorrect".to_owned(),
        attempts_remaining: Some(1),
        ..Answer::default()
    }
}

fn used() -> Answer {
    Answer {
        status: 409,
        code: "otp_already_used".to_owned(),
        attempts_remaining: Some(0),
        ..Answer::default()
    }
}

fn approved() -> Answer {
    Answer {
        status: 200,
        state: "approved".to_owned(),
        ..Answer::default()
    }
}

/// The end of one that was approved.
fn approved_one(record: &mut Record) -> Option<&mut Verification> {
    let mut ends = record.verifications.iter_mut();
    ends.find(|end| end.status == "approved")
}

/// WhatsApp's ids of the first two messages of one that sent so many.
fn two_messages(record: &Record) -> Option<(String, String)> {
    let mut ends = record.verifications.iter();
    ends.find_map(|end| match end.attempts.as_slice() {
        [first, second, ..] => Some((first.whatsapp_id.clone(), second.whatsapp_id.clone())),
        _ => None,
    })
}

fn lose_one(record: &mut Record) -> Option<()> {
    record.verifications.pop().map(drop)
}

fn invent_one(record: &mut Record) -> Option<()> {
    let mut invented = record.verifications.first()?.clone();
    invented.id.push('x');
    record.verifications.push(invented);
    Some(())
}

fn move_one(record: &mut Record) -> Option<()> {
    record.verifications.first_mut()?.phone.push('0');
    Some(())
}

/// A copy of a send that was carried out, with another answer.
fn repeat_a_send(record: &mut Record, change: impl FnOnce(&mut Answer)) -> Option<()> {
    let is_new = |call: &Call| call.answer.as_ref().is_some_and(|answer| !answer.replayed);
    let at = find(record, |call| call.accepted().is_some() && is_new(call))?;
    let mut again = record.calls.get(at)?.clone();
    change(again.answer.as_mut()?);
    record.calls.insert(at + 1, again);
    Some(())
}

fn answer_with_another(record: &mut Record) -> Option<()> {
    repeat_a_send(record, |answer| {
        answer.replayed = true;
        answer.id = answer.id.as_ref().map(|id| format!("{id}x"));
    })
}

fn carry_out_again(record: &mut Record) -> Option<()> {
    repeat_a_send(record, |answer| answer.replayed = false)
}

fn add_a_message(record: &mut Record) -> Option<()> {
    let end = record.verifications.first_mut()?;
    let mut more = end.attempts.last()?.clone();
    more.n += 1;
    end.attempts.push(more);
    Some(())
}

fn refuse_a_send(record: &mut Record) -> Option<()> {
    let answered = |call: &Call| matches!(call.ask, Ask::Send { .. }) && call.answer.is_some();
    *answer_where(record, answered)? = Answer {
        status: 429,
        code: "otp_resend_too_soon".to_owned(),
        ..Answer::default()
    };
    Some(())
}

fn lose_an_arrival(record: &mut Record) -> Option<()> {
    let lost = record.arrivals.first()?.whatsapp_id.clone();
    record.arrivals.retain(|arrival| arrival.whatsapp_id != lost);
    Some(())
}

fn lose_a_bubble(record: &mut Record) -> Option<()> {
    record.bubbles.pop().map(drop)
}

fn change_the_second_copy(record: &mut Record) -> Option<()> {
    let mut again = record.arrivals.first()?.clone();
    again.code = Some("1111111111".to_owned());
    record.arrivals.push(again);
    Some(())
}

fn say_the_same_again(record: &mut Record) -> Option<()> {
    let (first, second) = two_messages(record)?;
    let mut bubbles = record.bubbles.iter();
    let code = bubbles.find(|bubble| bubble.whatsapp_id == first)?.code.clone();
    for bubble in record.bubbles.iter_mut().filter(|bubble| bubble.whatsapp_id == second) {
        bubble.code.clone_from(&code);
    }
    let arrivals = record.arrivals.iter_mut();
    for arrival in arrivals.filter(|arrival| arrival.whatsapp_id == second) {
        arrival.code.clone_from(&code);
    }
    Some(())
}

fn show_another(record: &mut Record) -> Option<()> {
    let bubble = record.bubbles.first()?;
    let another = Bubble {
        whatsapp_id: format!("{}X", bubble.whatsapp_id),
        code: Some("1111111111".to_owned()),
        ..bubble.clone()
    };
    record.bubbles.push(another);
    Some(())
}

fn swap_two_arrivals(record: &mut Record) -> Option<()> {
    let (first, second) = two_messages(record)?;
    let place = |message: &str| {
        let mut arrivals = record.arrivals.iter();
        arrivals.position(|arrival: &Arrival| arrival.whatsapp_id == message)
    };
    let (first, second) = (place(&first)?, place(&second)?);
    record.arrivals.swap(first, second);
    Some(())
}

fn refuse_the_right_code(record: &mut Record) -> Option<()> {
    tell_instead(record, Told::Approved, wrong())
}

fn use_the_right_code(record: &mut Record) -> Option<()> {
    // One that nobody lost an answer of: that may have been the use.
    let lost: Vec<String> = record
        .calls
        .iter()
        .filter(|call| call.answer.is_none())
        .filter_map(id_of)
        .collect();
    let kept = |call: &Call| is_told(call, Told::Approved) && id_of(call).is_some_and(|id| !lost.contains(&id));
    *answer_where(record, kept)? = used();
    Some(())
}

/// Which verification a check is about.
fn id_of(call: &Call) -> Option<String> {
    match &call.ask {
        Ask::Check { id, .. } => Some(id.clone()),
        Ask::Send { .. } | Ask::Look { .. } => None,
    }
}

fn approve_a_wrong_code(record: &mut Record) -> Option<()> {
    tell_instead(record, Told::Incorrect, approved())
}

fn approve_again(record: &mut Record) -> Option<()> {
    let at = find(record, |call| is_told(call, Told::Approved))?;
    let again = record.calls.get(at)?.clone();
    record.calls.insert(at + 1, again);
    Some(())
}

fn list_again(record: &mut Record) -> Option<()> {
    approved_one(record)?.checks.push("approved".to_owned());
    Some(())
}

fn tell_again(record: &mut Record) -> Option<()> {
    let id = approved_one(record)?.id.clone();
    record.events.push(Event {
        kind: "otp.approved".to_owned(),
        id,
    });
    Some(())
}

fn show_as_pending(record: &mut Record) -> Option<()> {
    let shown = |call: &Call| {
        let state = call.answer.as_ref().map(|answer| answer.state.as_str());
        matches!(call.ask, Ask::Look { .. }) && state == Some("approved")
    };
    "pending".clone_into(&mut answer_where(record, shown)?.state);
    Some(())
}

fn end_as_pending(record: &mut Record) -> Option<()> {
    "pending".clone_into(&mut approved_one(record)?.status);
    Some(())
}

fn forget_the_use(record: &mut Record) -> Option<()> {
    tell_instead(record, Told::Used, wrong())
}

fn do_not_repeat(record: &mut Record) -> Option<()> {
    tell_instead(record, Told::Repeated, used())
}

fn repeat_late(record: &mut Record) -> Option<()> {
    let at = find(record, |call| is_told(call, Told::Repeated))?;
    let late = record.calls.get_mut(at)?;
    late.from += 120_000;
    late.until += 120_000;
    Some(())
}

fn give_attempts_back(record: &mut Record) -> Option<()> {
    let attempts = record.about.attempts;
    let incorrect = answer_where(record, |call| is_told(call, Told::Incorrect))?;
    incorrect.attempts_remaining = Some(attempts);
    Some(())
}

fn keep_a_visitor(record: &mut Record) -> Option<()> {
    record.visits.pop().map(drop)
}

fn empty(record: &mut Record) -> Option<()> {
    *record = Record::default();
    Some(())
}
