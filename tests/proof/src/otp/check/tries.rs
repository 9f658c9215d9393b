//! Checks: the newest code is right and no other, once, for ever, and every try counts.

use super::stories::{Stories, Story, Told, Try};
use crate::otp::record::{Ask, Call};
use crate::recording::Millis;

/// How long an approval is repeated.
const REPEATED: Millis = 60_000;
/// How much later a repetition may still come: the clock of an answer and that of the process are read one after the other.
const SLACK: Millis = 1_000;

fn each(stories: &Stories<'_>, judge: impl Fn(&Story<'_>) -> Vec<String>) -> Vec<String> {
    stories.all.values().flat_map(judge).collect()
}

fn fault(story: &Story<'_>, one: &Try<'_>) -> String {
    let answer = one.call.answer.as_ref();
    let (status, code) = answer.map_or((0, ""), |answer| (answer.status, answer.code.as_str()));
    let right = if one.is_right { "right" } else { "wrong" };
    format!(
        "{}: the {right} code under {} was answered with {status} {code}",
        story.id, one.key
    )
}

pub(super) fn the_newest_code_is_right(stories: &Stories<'_>) -> Vec<String> {
    let attempts = stories.record.about.attempts;
    each(stories, |story| {
        let tries = story.tries();
        let right = tries.iter().filter(|one| one.is_right);
        let misfits = right.filter(|one| match one.told {
            Told::Nothing | Told::Approved | Told::Repeated | Told::Later => false,
            Told::Used => !one.may_be_used,
            Told::Exhausted => one.wrong_before < attempts,
            Told::Incorrect | Told::Other => true,
        });
        misfits.map(|one| fault(story, one)).collect()
    })
}

pub(super) fn no_other_code_is_right(stories: &Stories<'_>) -> Vec<String> {
    let attempts = stories.record.about.attempts;
    each(stories, |story| {
        let tries = story.tries();
        let wrong = tries.iter().filter(|one| !one.is_right);
        let misfits = wrong.filter(|one| match one.told {
            Told::Nothing | Told::Incorrect | Told::Later => false,
            Told::Used => !one.may_be_used,
            Told::Exhausted => one.wrong_before < attempts,
            Told::Approved | Told::Repeated | Told::Other => true,
        });
        misfits.map(|one| fault(story, one)).collect()
    })
}

pub(super) fn approved_once(stories: &Stories<'_>) -> Vec<String> {
    each(stories, |story| {
        let tries = story.tries();
        let mut faults = Vec::new();
        let new = tries.iter().filter(|one| one.told == Told::Approved).count();
        if new > 1 {
            faults.push(format!("{} was approved {new} times", story.id));
        }
        for (at, one) in tries.iter().enumerate() {
            if one.told == Told::Repeated && before(&tries, at).next().is_none() {
                faults.push(format!(
                    "{}: an approval was repeated to {}, who had none",
                    story.id, one.key
                ));
            }
        }
        let is_approved = tries
            .iter()
            .any(|one| matches!(one.told, Told::Approved | Told::Repeated));
        let fits = |count: usize| count == 1 || (count == 0 && !is_approved);
        let checks = story.kept.iter().flat_map(|kept| &kept.checks);
        let listed = checks.filter(|check| *check == "approved").count();
        if story.kept.is_some() && !fits(listed) {
            faults.push(format!("{} lists {listed} approvals", story.id));
        }
        let told = stories.told("otp.approved", story.id);
        if !fits(told) {
            faults.push(format!("{} was told as approved {told} times", story.id));
        }
        let created = stories.told("otp.created", story.id);
        if created != 1 {
            faults.push(format!("{} was told as created {created} times", story.id));
        }
        faults
    })
}

/// Earlier tries under the same key that may have approved.
fn before<'t, 'a>(tries: &'t [Try<'a>], at: usize) -> impl Iterator<Item = &'t Try<'a>> {
    let key = tries.get(at).map(|one| one.key);
    let earlier = tries.iter().take(at);
    earlier.filter(move |one| Some(one.key) == key && matches!(one.told, Told::Nothing | Told::Approved))
}

pub(super) fn approved_stays_approved(stories: &Stories<'_>) -> Vec<String> {
    each(stories, |story| {
        let approval = |call: &&Call| matches!(call.ask, Ask::Check { .. }) && is_approval(call);
        let Some(at) = story.calls.iter().position(approval) else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        let Ask::Check { key: first, .. } = &story.calls[at].ask else {
            return faults;
        };
        for call in &story.calls[at + 1..] {
            match &call.ask {
                Ask::Look { .. } => {
                    let state = call.answer.as_ref().map_or("approved", |answer| answer.state.as_str());
                    if state != "approved" {
                        faults.push(format!("{} was approved, and later shown as {state:?}", story.id));
                    }
                }
                Ask::Check { key, .. } if key != first => {
                    if !matches!(Told::of(call), Told::Nothing | Told::Used | Told::Later) {
                        faults.push(format!(
                            "{} was approved, and {key} does not hear that it is used",
                            story.id
                        ));
                    }
                }
                Ask::Check { .. } | Ask::Send { .. } => {}
            }
        }
        if let Some(kept) = story.kept.filter(|kept| kept.status != "approved") {
            faults.push(format!("{} was approved, and is {} in the end", story.id, kept.status));
        }
        faults
    })
}

fn is_approval(call: &Call) -> bool {
    matches!(Told::of(call), Told::Approved | Told::Repeated)
}

pub(super) fn an_approval_is_repeated_for_a_minute(stories: &Stories<'_>) -> Vec<String> {
    each(stories, |story| {
        let tries = story.tries();
        let mut faults = Vec::new();
        for (at, one) in tries.iter().enumerate() {
            let earlier: Vec<&Try<'_>> = before(&tries, at).collect();
            let approved = earlier.iter().find(|one| one.told == Told::Approved);
            let others = |other: &Try<'_>| other.key != one.key && is_approval(other.call);
            let elsewhere = tries.iter().take(at).any(others);
            let first = earlier.iter().map(|one| one.call.from).min();
            let last = approved.map_or_else(
                || earlier.iter().map(|one| one.call.until).max(),
                |one| Some(one.call.until),
            );
            // What came of the first try is known for so long at least, and of the last one for so long at most.
            let is_too_late = last.is_some_and(|last| one.call.from > last + REPEATED + SLACK);
            let is_early = first.is_some_and(|first| one.call.until < first + REPEATED);
            if one.told == Told::Repeated && is_too_late {
                faults.push(format!("{}: {} heard of the approval for too long", story.id, one.key));
            }
            if one.is_right && one.told == Told::Used && is_early && !elsewhere {
                faults.push(format!("{}: {} did not hear of the approval again", story.id, one.key));
            }
        }
        faults
    })
}

pub(super) fn every_try_counts_once(stories: &Stories<'_>) -> Vec<String> {
    let attempts = stories.record.about.attempts;
    each(stories, |story| {
        let mut count = Count {
            left: attempts,
            told: 0,
            lost: 0,
        };
        let mut faults = Vec::new();
        for call in &story.calls {
            if let Some(wrong) = count.take(call, attempts) {
                faults.push(format!("{}: {wrong}", story.id));
            }
        }
        let checks = story.kept.iter().flat_map(|kept| &kept.checks);
        let listed = checks.filter(|check| *check == "incorrect").count();
        let (least, most) = (count.told, count.told + count.lost);
        if story.kept.is_some() && !(least..=most).contains(&u32::try_from(listed).unwrap_or(u32::MAX)) {
            faults.push(format!(
                "{} lists {listed} wrong codes, and not {least} to {most}",
                story.id
            ));
        }
        faults
    })
}

/// The attempts of a verification, call by call.
struct Count {
    left: u32,
    /// Wrong codes that were told to be wrong.
    told: u32,
    /// Tries without an answer.
    lost: u32,
}

impl Count {
    /// What is wrong with an answer.
    fn take(&mut self, call: &Call, attempts: u32) -> Option<String> {
        let answer = call.answer.as_ref();
        let told = match &call.ask {
            Ask::Check { .. } => Told::of(call),
            Ask::Send { .. } | Ask::Look { .. } => Told::Other,
        };
        self.lost += u32::from(told == Told::Nothing);
        self.told += u32::from(told == Told::Incorrect);
        let is_wrong = told == Told::Incorrect;
        // A repeated answer says what was so at its time.
        let left = answer
            .filter(|answer| !answer.replayed)
            .and_then(|answer| answer.attempts_remaining);
        let Some(left) = left else {
            return is_wrong.then(|| "a wrong code was not told how many attempts are left".to_owned());
        };
        let before = std::mem::replace(&mut self.left, left);
        if left > before || (is_wrong && left == before) {
            return Some(format!("{left} attempts were left after {before}"));
        }
        if is_wrong && left + self.told + self.lost < attempts {
            return Some(format!(
                "{left} attempts were left after {} wrong codes",
                self.told + self.lost
            ));
        }
        None
    }
}
