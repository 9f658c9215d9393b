//! Fine points of the judgement: what is a fault and what is none.

use wharf_proof::check;
use wharf_proof::recording::{Closed, End, FaultLine, Observation, Observed, PeerLine, RequestLine, read};

use crate::good::{self, KILL, ONE};

const RECEIPTS: &str = "receipts_older_than_a_second_are_not_lost";

/// The recording without the `read` of message 4, whose receipt came at `at`.
fn without_a_read(at: u64) -> wharf_proof::Recording {
    let mut recording = good::recording();
    let message = |line: &Option<String>| line.as_deref() == Some("msg_4");
    recording
        .log
        .retain(|event| event.kind != "message.read" || !message(&event.message));
    recording.followed.clone_from(&recording.log);
    for observation in &mut recording.observations {
        if let Observed::Stanza(stanza) = &observation.what
            && stanza.tag == "receipt"
            && stanza.id.as_deref() == Some("WA4")
        {
            observation.at = at;
        }
    }
    for shown in recording.messages.iter_mut().filter(|shown| shown.id == "msg_4") {
        shown.status = "delivered".to_owned();
        shown.timeline.pop();
    }
    recording
}

#[test]
fn a_receipt_may_be_lost_in_the_last_second_and_not_before() {
    let late = check(&without_a_read(KILL - 999));
    assert!(late.is_clean(), "{late}");
    assert!(check(&without_a_read(KILL - 1000)).names(RECEIPTS));
}

#[test]
fn a_receipt_on_a_connection_that_ends_at_once_is_delivered_again() {
    let mut recording = without_a_read(4000);
    recording.observations.push(Observation {
        at: 4500,
        what: Observed::Closed(Closed {
            connection: 1,
            phone: Some(ONE.to_owned()),
            device: Some(1),
        }),
    });
    let report = check(&recording);
    assert!(!report.names(RECEIPTS), "{report}");
}

#[test]
fn a_redelivery_that_the_companion_cannot_read_twice_is_no_fault() {
    let mut recording = good::recording();
    let again = PeerLine {
        event: "undecryptable".to_owned(),
        error: Some("Key used already or never filled".to_owned()),
        ..recording.peer[0].clone()
    };
    recording.peer.push(again);
    let report = check(&recording);
    assert!(report.is_clean(), "{report}");
    recording.peer.remove(0);
    assert!(check(&recording).names("every_copy_decrypts"));
}

#[test]
fn a_fault_excuses_a_refusal_while_it_lasts_and_only_503() {
    let refused = |status: u16, from: u64| {
        let mut recording = good::recording();
        let outcome = recording.requests.iter_mut().find_map(|line| match line {
            RequestLine::Outcome(outcome) if matches!(outcome.end, End::Unknown { .. }) => Some(outcome),
            _ => None,
        });
        outcome.unwrap().end = End::Refused {
            status,
            code: "storage_unavailable".to_owned(),
        };
        recording.faults.push(FaultLine {
            what: "the database stands still".to_owned(),
            from,
            until: from + 100,
            refuses_logins: false,
            fired: 1,
        });
        check(&recording)
    };
    assert!(refused(503, KILL - 50).is_clean());
    assert!(refused(500, KILL - 50).names("only_faults_refuse"));
    assert!(refused(503, KILL + 50).names("only_faults_refuse"));
}

#[test]
fn a_login_may_be_refused_by_a_fault_alone() {
    let refused = |reason: &str, refuses_logins: bool| {
        let mut recording = good::recording();
        for observation in &mut recording.observations {
            if let Observed::Login(login) = &mut observation.what {
                login.refused = Some(reason.to_owned());
            }
        }
        recording.faults.push(FaultLine {
            what: "logins are refused".to_owned(),
            from: 400,
            until: 600,
            refuses_logins,
            fired: 2,
        });
        check(&recording).names("no_login_is_refused")
    };
    assert!(!refused("503", true));
    assert!(refused("503", false));
    assert!(refused("401", true));
}

#[test]
fn a_recording_reads_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = wharf_proof::drive::Recorder::new(folder.path()).unwrap();
    let good = good::recording();
    for line in &good.requests {
        if let RequestLine::Request(request) = line {
            recorder.request(request);
        }
    }
    for observation in &good.observations {
        recorder
            .observation(&serde_json::to_string(observation).unwrap())
            .unwrap();
    }
    let (kept, place) = recorder
        .finish(|recording| recording.log.clone_from(&good.log))
        .unwrap();
    let back = read(&place).unwrap();
    assert_eq!(format!("{kept:?}"), format!("{back:?}"));
    assert_eq!(back.observations.len(), good.observations.len());
}
