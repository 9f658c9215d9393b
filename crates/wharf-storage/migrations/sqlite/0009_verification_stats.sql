-- What became of verifications, counted in the units that change them. A day is that on which the verification was made,
-- in days since 1970-01-01, UTC.
create table verification_stats (
    workspace_id blob not null references workspaces (id),
    day integer not null,
    country text not null, -- of the phone; empty: not known
    purpose text not null, -- empty: of those beyond as many as a day has
    session_id blob not null,
    created integer not null,
    sends integer not null,
    sent integer not null,
    delivered integer not null,
    read integer not null,
    approved integer not null,
    expired integer not null,
    failed integer not null,
    cancelled integer not null,
    primary key (workspace_id, day, country, purpose, session_id)
) strict;

create index verification_stats_day on verification_stats (day);

-- How long deliveries and approvals took: how many were within a bucket, which is known by its upper bound in milliseconds.
create table verification_latency (
    workspace_id blob not null references workspaces (id),
    day integer not null,
    kind text not null check (kind in ('delivered', 'approved')),
    bucket integer not null,
    count integer not null,
    primary key (workspace_id, day, kind, bucket)
) strict;

create index verification_latency_day on verification_latency (day);
