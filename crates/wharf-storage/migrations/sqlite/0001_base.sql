-- Times are integers: milliseconds since the Unix epoch, UTC. Ids are 16 bytes. Columns marked "sealed" hold envelopes
-- (version, key id, nonce, ciphertext); columns marked "blind" hold 16 bytes of a keyed hash, so that no address of a
-- person stands in the file.

create table meta (
    key text not null primary key,
    value blob not null
) strict;

create table workspaces (
    id blob not null primary key,
    name text not null,
    created_at integer not null
) strict;

-- Wrapped by the master key. Deleting a row shreds everything that its key sealed.
create table data_keys (
    id blob not null primary key,
    owner_kind text not null check (owner_kind in ('workspace', 'session')),
    owner_id blob not null,
    purpose text not null check (purpose in ('content', 'signal')),
    wrapped blob not null,
    created_at integer not null
) strict;

create unique index data_keys_owner on data_keys (owner_id, purpose);

create table api_keys (
    seq integer primary key autoincrement,
    id blob not null unique,
    workspace_id blob not null references workspaces (id),
    label text not null,
    prefix text not null,
    hash blob not null unique, -- SHA-256 of the whole key
    scopes text not null, -- JSON list
    ips text, -- JSON list; null is everywhere
    sessions text, -- JSON list of ids; null is all
    expires_at integer,
    usage_count integer not null default 0,
    last_used_at integer,
    revoked_at integer,
    created_by text,
    created_at integer not null,
    updated_at integer not null
) strict;

create index api_keys_list on api_keys (workspace_id, seq);

create table sessions (
    seq integer primary key autoincrement,
    id blob not null unique,
    workspace_id blob not null references workspaces (id),
    name text not null,
    network text not null,
    wanted text not null check (wanted in ('connected', 'stopped', 'logged_out', 'deleted')),
    status text not null,
    status_since integer not null,
    last_qr_at integer,
    authenticated_at integer,
    ready_at integer,
    auth_failed_at integer,
    disconnected_at integer,
    error text,
    disconnect_reason text,
    next_attempt_at integer,
    device text, -- JSON
    pacing text, -- JSON
    profile blob, -- sealed JSON: phone number, jid, lid, names
    metadata blob, -- sealed JSON
    proxy blob, -- sealed
    owner text,
    epoch integer not null default 0,
    lease_until integer,
    unlinked_at integer,
    keys_shred_at integer,
    deleted_at integer,
    created_by text,
    created_at integer not null,
    updated_at integer not null
) strict;

create index sessions_list on sessions (workspace_id, seq) where deleted_at is null;
create index sessions_wanted on sessions (seq) where wanted <> 'stopped' and deleted_at is null;
create index sessions_shred on sessions (keys_shred_at) where keys_shred_at is not null;
create index sessions_deleted on sessions (deleted_at) where deleted_at is not null;

create table session_history (
    seq integer primary key autoincrement,
    session_id blob not null references sessions (id) on delete cascade,
    status text not null,
    at integer not null,
    reason text,
    error text,
    next_attempt_at integer
) strict;

create index session_history_list on session_history (session_id, seq);

create table messages (
    seq integer primary key autoincrement,
    id blob not null unique,
    workspace_id blob not null references workspaces (id),
    session_id blob not null references sessions (id),
    direction text not null check (direction in ('outbound', 'inbound')),
    lane integer, -- null for inbound
    kind text not null,
    chat_index blob not null, -- blind
    sender_index blob not null, -- blind; empty for outbound
    chat blob not null, -- sealed
    peer blob, -- sealed: `to` as it was given, or the sender
    body blob, -- sealed; null once it was wiped
    secret blob, -- sealed: the 32-byte message secret
    metadata blob, -- sealed
    whatsapp_id text not null,
    status text not null,
    code text,
    attempts integer not null default 0,
    due_at integer not null, -- not to be sent before
    expires_at integer,
    retry_at integer,
    created_at integer not null,
    updated_at integer not null,
    sent_at integer,
    delivered_at integer,
    read_at integer
) strict;

create unique index messages_whatsapp on messages (session_id, whatsapp_id, chat_index, sender_index);
create index messages_list on messages (workspace_id, seq);
create index messages_session on messages (session_id, seq);
create index messages_chat on messages (session_id, chat_index, seq);
-- The queue. It holds the chat so that chats in flight are passed over without a look at the row.
create index messages_queue on messages (session_id, lane, due_at, seq, chat_index) where status = 'queued';
-- What waits for another try holds back what was accepted after it for the same chat.
create index messages_waiting on messages (session_id, chat_index, lane, seq)
    where status = 'queued' and retry_at is not null;
create index messages_in_flight on messages (session_id, chat_index, seq) where status = 'sending';
create index messages_expiry on messages (session_id, expires_at) where status = 'queued' and expires_at is not null;

create table message_status (
    seq integer primary key autoincrement,
    message_id blob not null references messages (id) on delete cascade,
    status text not null,
    at integer not null,
    code text
) strict;

create index message_status_list on message_status (message_id, seq);

-- Append-only. The single writer's row id is the order that readers trust.
create table events (
    seq integer primary key autoincrement,
    id blob not null unique,
    workspace_id blob not null references workspaces (id),
    session_id blob,
    kind text not null,
    data blob not null, -- sealed JSON
    created_at integer not null
) strict;

create index events_log on events (workspace_id, seq);

create table idempotency (
    workspace_id blob not null references workspaces (id),
    key text not null,
    fingerprint blob not null, -- SHA-256 of method, path and body
    state text not null check (state in ('in_progress', 'done', 'secret_shown')),
    answer blob, -- sealed: status, headers, body
    created_at integer not null,
    expires_at integer not null,
    primary key (workspace_id, key)
) strict;

create index idempotency_expiry on idempotency (expires_at);

create table wa_state (
    session_id blob not null references sessions (id) on delete cascade,
    kind text not null,
    key blob not null, -- blind, or a number
    owner blob, -- blind: the second look-up
    rank integer, -- the number that orders
    expires_at integer, -- null for never
    value blob not null, -- sealed
    primary key (session_id, kind, key)
) strict;

create index wa_state_owner on wa_state (session_id, kind, owner, rank) where owner is not null;
create index wa_state_rank on wa_state (session_id, kind, rank) where rank is not null;
create index wa_state_expiry on wa_state (session_id, kind, expires_at) where expires_at is not null;
