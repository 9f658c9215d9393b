-- Texts that people send to us to prove their numbers. A text itself is not here: its keyed hash is, under the key of the
-- session that is to get it.
create table receptions (
    id bytea primary key,
    workspace_id bytea not null references workspaces (id),
    session_id bytea not null, -- the text counts where this one gets it
    text_index bytea not null, -- blind
    phone_index bytea, -- blind: the only number that may send it, and at the end the one that did; null: any may
    phone bytea, -- sealed: the same number
    purpose text not null,
    metadata bytea, -- sealed
    status text not null,
    expires_at bigint not null,
    keep_until bigint not null,
    due_at bigint not null, -- the next of these times that matters
    created_at bigint not null,
    finished_at bigint
);

create unique index receptions_text on receptions (session_id, text_index) where status = 'pending';
create index receptions_pending on receptions (session_id, expires_at) where status = 'pending';
create index receptions_due on receptions (due_at);
