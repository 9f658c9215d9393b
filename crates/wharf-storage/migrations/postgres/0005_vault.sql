-- Session strings that are fetched by a short id. The id is a secret, and so is a one-time link: their hashes stand here.
create table vault (
    hash bytea primary key,
    workspace_id bytea not null references workspaces (id),
    session_id bytea,
    content bytea not null,
    link_hash bytea,
    expires_at bigint not null,
    created_at bigint not null
);

create unique index vault_link on vault (link_hash) where link_hash is not null;
create index vault_expiry on vault (expires_at);
