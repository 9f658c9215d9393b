-- Who did what that matters, and from where. Rows outlive the sessions that they tell of, so that nothing refers to those.
create table audit (
    seq integer primary key autoincrement,
    workspace_id blob not null references workspaces (id),
    at integer not null,
    who text not null,
    action text not null,
    session_id blob,
    address text,
    request_id text
) strict;

create index audit_list on audit (workspace_id, seq);
