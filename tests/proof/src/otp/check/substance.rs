//! How much there is. A record that shows nothing breaks no rule, and proves none.

use std::collections::BTreeMap;

use super::stories::Stories;
use crate::otp::counts::Counts;
use crate::otp::record::{Ask, Visit};

pub(super) fn every_visitor_leaves(stories: &Stories<'_>) -> Vec<String> {
    let record = stories.record;
    let left: BTreeMap<u64, &Visit> = record.visits.iter().map(|visit| (visit.visitor, visit)).collect();
    let mut faults = Vec::new();
    for call in &record.calls {
        if let Ask::Send { phone, .. } = &call.ask
            && !left.contains_key(&call.visitor)
        {
            faults.push(format!("visitor {} with {phone} is still there", call.visitor));
        }
    }
    faults.dedup();
    for visit in &record.visits {
        if let Some(trouble) = &visit.trouble {
            faults.push(format!("visitor {} with {}: {trouble}", visit.visitor, visit.phone));
        }
    }
    faults
}

pub(super) fn record_is_substantial(stories: &Stories<'_>) -> Vec<String> {
    let (counts, floors) = (Counts::of(stories), stories.record.about.floors);
    let rows = [
        ("kills", counts.kills, floors.kills.max(1)),
        ("approvals", counts.approved, floors.approved.max(1)),
        ("codes that were asked for again", counts.resent, floors.resent),
        ("wrong codes", counts.wrong, floors.wrong),
        ("calls without an answer", counts.lost, floors.lost),
        (
            "kills between answer and phone",
            counts.kills_on_the_way,
            floors.on_the_way,
        ),
        ("kills between phone and check", counts.kills_untyped, floors.untyped),
    ];
    let poor = rows.into_iter().filter(|(_, count, floor)| count < floor);
    poor.map(|(what, count, floor)| format!("{count} {what}, where {floor} are needed"))
        .collect()
}
