-- What became of verifications, counted in the units that change them. A day is that on which the verification was made,
-- in days since 1970-01-01, UTC.
create table verification_stats (
    workspace_id bytea not null references workspaces (id),
    day bigint not null,
    country text not null, -- of the phone; empty: not known
    purpose text not null, -- empty: of those beyond as many as a day has
    session_id bytea not null,
    created bigint not null,
    sends bigint not null,
    sent bigint not null,
    delivered bigint not null,
    read bigint not null,
    approved bigint not null,
    expired bigint not null,
    failed bigint not null,
    cancelled bigint not null,
    primary key (workspace_id, day, country, purpose, session_id)
);

create index verification_stats_day on verification_stats (day);

-- How long deliveries and approvals took: how many were within a bucket, which is known by its upper bound in milliseconds.
create table verification_latency (
    workspace_id bytea not null references workspaces (id),
    day bigint not null,
    kind text not null check (kind in ('delivered', 'approved')),
    bucket bigint not null,
    count bigint not null,
    primary key (workspace_id, day, kind, bucket)
);

create index verification_latency_day on verification_latency (day);
