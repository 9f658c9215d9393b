-- A verification is found by its workspace and its id together, and by its id alone nowhere: an id of another workspace takes
-- the same way as one that nobody made (OTP-15). It knows the country of its phone; one of a test number has no session. It
-- counts where it began, and belongs to the key that made it.
create table verifications_new (
    seq integer primary key autoincrement,
    id blob not null,
    workspace_id blob not null references workspaces (id),
    session_id blob, -- sends its last message; null: nothing is sent to a test number
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
    finished_at integer,
    country text, -- of the phone; null: not known
    first_session_id blob, -- null: it began as a test number, or before anything was counted
    key_id blob, -- made it; null: no key did, or nobody noted which
    unique (workspace_id, id)
) strict;

create table verification_sends_new (
    seq integer primary key autoincrement,
    verification_id blob not null,
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
    code text,
    foreign key (workspace_id, verification_id) references verifications_new (workspace_id, id) on delete cascade
) strict;

create table verification_checks_new (
    seq integer primary key autoincrement,
    workspace_id blob not null references workspaces (id),
    verification_id blob not null,
    at integer not null,
    result text not null,
    foreign key (workspace_id, verification_id) references verifications_new (workspace_id, id) on delete cascade
) strict;

insert into verifications_new (seq, id, workspace_id, session_id, phone_index, purpose, status, mac, phone, metadata,
    template, locale, length, attempts, max_attempts, sends, max_sends, next_send_at, expires_at, undelivered_at, keep_until,
    due_at, created_at, finished_at)
    select seq, id, workspace_id, session_id, phone_index, purpose, status, mac, phone, metadata, template, locale, length,
        attempts, max_attempts, sends, max_sends, next_send_at, expires_at, undelivered_at, keep_until, due_at, created_at,
        finished_at
    from verifications;

insert into verification_sends_new (seq, verification_id, workspace_id, session_id, message_id, n, at, phone_index,
    prefix_index, client_index, key_id, status, code)
    select seq, verification_id, workspace_id, session_id, message_id, n, at, phone_index, prefix_index,
        client_index, key_id, status, code
    from verification_sends;

insert into verification_checks_new (seq, workspace_id, verification_id, at, result)
    select c.seq, v.workspace_id, c.verification_id, c.at, c.result
    from verification_checks c join verifications v on v.id = c.verification_id;

-- Those that point at others first, or their rows would go with what they point at.
drop table verification_sends;
drop table verification_checks;
drop table verifications;
alter table verifications_new rename to verifications;
alter table verification_sends_new rename to verification_sends;
alter table verification_checks_new rename to verification_checks;

create unique index verifications_active on verifications (workspace_id, phone_index, purpose) where status = 'pending';
create index verifications_list on verifications (workspace_id, seq);
create index verifications_phone on verifications (workspace_id, phone_index, seq);
create index verifications_due on verifications (due_at);
create index verification_sends_list on verification_sends (workspace_id, verification_id, n);
create index verification_sends_phone on verification_sends (workspace_id, phone_index, at);
create index verification_sends_prefix on verification_sends (workspace_id, prefix_index, at);
create index verification_sends_client on verification_sends (workspace_id, client_index, at) where client_index is not null;
create index verification_sends_key on verification_sends (workspace_id, key_id, at) where key_id is not null;
create index verification_sends_session on verification_sends (workspace_id, session_id, at);
create index verification_checks_list on verification_checks (workspace_id, verification_id, seq);
