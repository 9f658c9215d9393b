//! Messages: the rows that are both the record and the job. An outbound row waits in its lane until its session's
//! actor takes it; status moves along `MessageStatus::accepts` and each step is a line of the timeline.
//! Addresses stand in the rows sealed, and as blind indexes for look-ups.

mod draft;
mod inbound;
mod list;
mod outbound;
mod pace;
mod row;
mod status;

pub use draft::{InboundDraft, NewInbound, NewOutbound, OutboundDraft, chat_index};
pub use inbound::{Inserted, insert_inbound};
pub use list::{MessageFilter, get, list, timeline};
pub use outbound::{
    QueueDepth, has_stranded, in_flight, insert_outbound, mark_sending, next_due_at, next_outbound, note_resent,
    postpone, queue_depth, release_stranded, stop_waiting,
};
pub use pace::{
    chat_is_known, chats_opened, next_expiry_at, next_in_flight_expiry_at, sent_since, sessions_with_expired,
};
pub use row::{Message, OpenMessage, TimelineEntry, Wording};
pub use status::{
    Advance, NamedStep, advance, advance_named, cancel, expire_due, expire_in_flight, find_by_whatsapp_id,
    implies_sent, wipe_body,
};
