-- What the API keys of a customer may use; a limit that is null does not limit. What they used is counted by key and day, so
-- that one statement takes from a quota and says what was taken.
create table plans (
    seq integer primary key autoincrement,
    id blob not null unique,
    workspace_id blob not null references workspaces (id),
    name text not null,
    requests_per_second integer,
    messages_per_day integer,
    otps_per_day integer,
    sessions integer,
    created_at integer not null,
    updated_at integer not null
) strict;

create unique index plans_name on plans (workspace_id, name);
create index plans_list on plans (workspace_id, seq);

alter table api_keys add column plan_id blob references plans (id);
create index api_keys_plan on api_keys (plan_id);

create table usage (
    workspace_id blob not null references workspaces (id),
    key_id blob not null,
    day integer not null, -- since 1970-01-01, UTC
    messages integer not null default 0,
    otps integer not null default 0,
    primary key (workspace_id, key_id, day)
) strict;

create index usage_day on usage (day, workspace_id, key_id);

-- How many sessions a key has made.
create index sessions_made on sessions (workspace_id, created_by) where deleted_at is null;
