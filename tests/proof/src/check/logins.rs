//! Links that hold.

use std::collections::HashMap;

use super::index::Index;
use crate::recording::Observed;

pub(super) fn no_login_is_refused(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for observation in &index.recording.observations {
        let Observed::Login(login) = &observation.what else {
            continue;
        };
        let Some(reason) = &login.refused else { continue };
        let on_purpose = index.recording.faults.iter().any(|fault| {
            fault.refuses_logins && (fault.from..=fault.until).contains(&observation.at) && reason.starts_with('5')
        });
        if !on_purpose {
            let (phone, device) = (login.phone.as_deref().unwrap_or("?"), login.device.unwrap_or_default());
            faults.push(format!("the login of {phone}:{device} was refused: {reason}"));
        }
    }
    faults
}

pub(super) fn nobody_scans_twice(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let events = index.recording.log.iter().filter_map(|event| {
        let status = event.status.as_deref().filter(|_| event.kind == "session.status")?;
        Some((event.session.as_deref()?, status))
    });
    faults.extend(needs_a_person("the feed", events));
    let history = index.recording.history.iter();
    faults.extend(needs_a_person(
        "the history",
        history.map(|step| (step.session.as_str(), step.status.as_str())),
    ));
    faults
}

/// `pending` and `auth_failed` after the first `ready`.
fn needs_a_person<'a>(who: &str, steps: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut linked: HashMap<&str, bool> = HashMap::new();
    let mut faults = Vec::new();
    for (session, status) in steps {
        let linked = linked.entry(session).or_default();
        *linked |= status == "ready";
        if *linked && matches!(status, "pending" | "auth_failed") {
            faults.push(format!("{session} is {status} after it was linked, says {who}"));
        }
    }
    faults
}

pub(super) fn the_companion_stays_linked(index: &Index<'_>) -> Vec<String> {
    let lines = index.recording.peer.iter();
    let bad = lines.filter(|line| (line.event == "closed" && line.code == Some(401)) || line.event == "send_failed");
    bad.map(|line| {
        let error = line.error.as_deref().unwrap_or_default();
        format!("the companion says {} {:?} {error}", line.event, line.code)
    })
    .collect()
}
