-- Texts that people send to us to prove their numbers. A text itself is not here: its keyed hash is, under the key of the
-- session that is to get it.
create table receptions (
    id blob primary key,
    workspace_id blob not null references workspaces (id),
    session_id blob not null, -- the text counts where this one gets it
    text_index blob not null, -- blind
    phone_index blob, -- blind: the only number that may send it, and at the end the one that did; null: any may
    phone blob, -- sealed: the same number
    purpose text not null,
    metadata blob, -- sealed
    status text not null,
    expires_at integer not null,
    keep_until integer not null,
    due_at integer not null, -- the next of these times that matters
    created_at integer not null,
    finished_at integer
) strict;

create unique index receptions_text on receptions (session_id, text_index) where status = 'pending';
create index receptions_pending on receptions (session_id, expires_at) where status = 'pending';
create index receptions_due on receptions (due_at);
