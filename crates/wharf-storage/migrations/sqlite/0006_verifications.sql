-- One-time codes. A code itself is nowhere: its keyed hash (mac) is here, its digits are in the sealed body of its message
-- until the verification's end.
create table verifications (
    seq integer primary key autoincrement,
    id blob not null unique,
    workspace_id blob not null references workspaces (id),
    session_id blob not null, -- sends its last message
    phone_index blob not null, -- blind
    purpose text not null,
    status text not null,
    mac blob not null,
    phone blob not null, -- sealed
    metadata blob, -- sealed
    template text not null,
    locale text not null,
    length integer not null,
    attempts integer not null default 0,
    max_attempts integer not null,
    sends integer not null,
    max_sends integer not null,
    next_send_at integer not null,
    expires_at integer not null,
    undelivered_at integer, -- when to tell that nothing was heard of its delivery; null once told
    keep_until integer not null,
    due_at integer not null, -- the next of these times that matters
    created_at integer not null,
    finished_at integer
) strict;

create unique index verifications_active on verifications (workspace_id, phone_index, purpose) where status = 'pending';
create index verifications_list on verifications (workspace_id, seq);
create index verifications_phone on verifications (workspace_id, phone_index, seq);
create index verifications_due on verifications (due_at);

-- Every message of a verification. What limits count.
create table verification_sends (
    seq integer primary key autoincrement,
    verification_id blob not null references verifications (id) on delete cascade,
    workspace_id blob not null references workspaces (id),
    session_id blob not null,
    message_id blob not null unique,
    n integer not null,
    at integer not null,
    phone_index blob not null, -- blind, as the next two
    prefix_index blob not null, -- the phone without its last four digits
    client_index blob, -- the end user's address
    key_id blob,
    status text not null,
    code text
) strict;

create index verification_sends_list on verification_sends (verification_id, n);
create index verification_sends_phone on verification_sends (workspace_id, phone_index, at);
create index verification_sends_prefix on verification_sends (workspace_id, prefix_index, at);
create index verification_sends_client on verification_sends (workspace_id, client_index, at) where client_index is not null;
create index verification_sends_key on verification_sends (workspace_id, key_id, at) where key_id is not null;
create index verification_sends_session on verification_sends (workspace_id, session_id, at);

create table verification_checks (
    seq integer primary key autoincrement,
    verification_id blob not null references verifications (id) on delete cascade,
    at integer not null,
    result text not null
) strict;

create index verification_checks_list on verification_checks (verification_id, seq);

-- Wrong codes in a row for a phone, whichever of its verifications they were for. A right one takes the row away.
create table verification_failures (
    workspace_id blob not null references workspaces (id),
    phone_index blob not null, -- blind
    failures integer not null,
    primary key (workspace_id, phone_index)
) strict;

-- What a message of lane otp shows instead of its body.
alter table messages add column template text;
alter table messages add column locale text;
