//! The kinds of rows, as column `kind` names them. A kind is never renamed: rows are found by it.

/// Identity keys of other devices, by address; owner: the user.
pub(super) const IDENTITY: &str = "identity";
/// Signal sessions, by address; owner: the user.
pub(super) const SESSION: &str = "session";
/// One-time pre-keys, by id; rank: the id.
pub(super) const PRE_KEY: &str = "prekey";
/// Signed pre-keys, by id; rank: the id.
pub(super) const SIGNED_PRE_KEY: &str = "signed_prekey";
/// Sender keys of groups, by address.
pub(super) const SENDER_KEY: &str = "sender_key";
/// Keys of app state, by key id; rank: the order of arrival.
pub(super) const SYNC_KEY: &str = "sync_key";
/// Versions of app-state collections, by name.
pub(super) const APP_VERSION: &str = "app_version";
/// MACs of app-state mutations, by collection and index; owner: the collection.
pub(super) const MUTATION_MAC: &str = "mutation_mac";
/// Who has our sender key, by group and device; owner: the group.
pub(super) const KEY_HOLDER: &str = "key_holder";
/// The groups of a device among the key holders, by device and group; owner: the device.
pub(super) const HELD_GROUP: &str = "held_group";
/// LIDs and their phones, by LID; owner: the phone, rank: the order of arrival.
pub(super) const LID_MAPPING: &str = "lid_mapping";
/// Base keys that retries are compared with, by address and message.
pub(super) const BASE_KEY: &str = "base_key";
/// Device lists, by user.
pub(super) const DEVICE_LIST: &str = "device_list";
/// Metadata of groups, by group.
pub(super) const GROUP: &str = "group";
/// Tokens of trusted contacts, by jid; rank: the younger of their two times.
pub(super) const TC_TOKEN: &str = "tc_token";
/// Sent messages without a row in `messages`, by chat and id.
pub(super) const SENT_MESSAGE: &str = "sent_message";
/// Messages that were decrypted and not committed yet, by chat, sender and id.
pub(super) const PENDING_INBOUND: &str = "pending_inbound";
/// Marks of messages that were committed, or asked for again, by chat, sender and id.
pub(super) const COMMITTED: &str = "committed_inbound";
/// Message secrets, by chat, sender and id.
pub(super) const MSG_SECRET: &str = "msg_secret";
/// The device itself: its keys, its address, its counters. One row.
pub(super) const DEVICE: &str = "device";
