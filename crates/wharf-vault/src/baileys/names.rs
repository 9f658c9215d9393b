//! What Baileys calls its keys: one file each, `TYPE-ID.json`, or one object of objects by type.

/// The end of a file's name.
const FILE: &str = ".json";

/// How an address writes that its user is a hidden id.
pub(super) const LID_DOMAIN: &str = "1";
/// What follows the number in the name of a mapping from a hidden id back to its phone: the same pair once more.
pub(super) const REVERSE: &str = "_reverse";

/// Who has a sender key. Without it everybody gets the key once more, and nothing is lost.
const NOT_A_SENDER_KEY: &str = "sender-key-memory-";

/// A list of a kind's ids.
const INDEX: &str = "-__index";

/// Kinds of keys that are worth taking along; the rest is caches, and what a device asks for anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    PreKey,
    Session,
    SenderKey,
    Identity,
    SyncKey,
    LidMapping,
    ContactToken,
}

/// Today's name and, where there was one, that of the single file of old (`useSingleFileAuthState`).
const KINDS: [(Kind, &str, Option<&str>); 7] = [
    (Kind::PreKey, "pre-key", Some("preKeys")),
    (Kind::Session, "session", Some("sessions")),
    (Kind::SenderKey, "sender-key", Some("senderKeys")),
    (Kind::Identity, "identity-key", None),
    (Kind::SyncKey, "app-state-sync-key", Some("appStateSyncKeys")),
    (Kind::LidMapping, "lid-mapping", None),
    (Kind::ContactToken, "tctoken", None),
];

/// A key's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyName {
    pub kind: Kind,
    pub id: String,
}

impl KeyName {
    /// From the name of a file, without its folder. `None` for what is not taken along.
    pub fn of_file(name: &str) -> Option<Self> {
        Self::of_entry(name.strip_suffix(FILE)?)
    }

    /// From `TYPE-ID`, as it stands in objects without types of their own.
    pub fn of_entry(name: &str) -> Option<Self> {
        if name.starts_with(NOT_A_SENDER_KEY) || name.ends_with(INDEX) {
            return None;
        }
        KINDS.into_iter().find_map(|(kind, written, _)| {
            let id = name.strip_prefix(written)?.strip_prefix('-')?;
            Some(Self { kind, id: unescape(id) })
        })
    }
}

impl Kind {
    /// From the name of an object of keys of one type.
    pub fn of_group(name: &str) -> Option<Self> {
        let known =
            |(kind, today, of_old): (Self, &str, Option<&str>)| (name == today || of_old == Some(name)).then_some(kind);
        KINDS.into_iter().find_map(known)
    }
}

/// The name of a key's file.
pub(super) fn file(kind: Kind, id: &str) -> String {
    let written = KINDS.into_iter().find(|(known, _, _)| *known == kind);
    let written = written.map_or("", |(_, written, _)| written);
    // `fixFileName` of Baileys.
    format!("{written}-{}{FILE}", id.replace('/', "__").replace(':', "-"))
}

/// File names have neither slashes nor colons (`fixFileName`). An id that has dashes of its own is none of ours.
fn unescape(id: &str) -> String {
    id.replace("__", "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_kind_and_id() {
        for (name, kind, id) in [
            ("pre-key-17.json", Kind::PreKey, "17"),
            ("session-15550100001.0.json", Kind::Session, "15550100001.0"),
            ("identity-key-1_1.12.json", Kind::Identity, "1_1.12"),
            ("app-state-sync-key-AAAA__yxZ.json", Kind::SyncKey, "AAAA/yxZ"),
            ("lid-mapping-15550100001.json", Kind::LidMapping, "15550100001"),
            ("tctoken-1@lid.json", Kind::ContactToken, "1@lid"),
        ] {
            let id = id.to_owned();
            assert_eq!(KeyName::of_file(name), Some(KeyName { kind, id }), "{name}");
        }
        for name in [
            "creds.json",
            "device-list-1.json",
            "sender-key-memory-1.json",
            "pre-key-17",
            "app-state-sync-version-regular.json",
        ] {
            assert_eq!(KeyName::of_file(name), None, "{name}");
        }
    }

    #[test]
    fn groups_are_known_by_both_names() {
        assert_eq!(Kind::of_group("preKeys"), Some(Kind::PreKey));
        assert_eq!(Kind::of_group("pre-key"), Some(Kind::PreKey));
        assert_eq!(Kind::of_group("senderKeyMemory"), None);
    }
}
