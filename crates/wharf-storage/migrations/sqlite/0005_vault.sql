-- Session strings that are fetched by a short id. The id is a secret, and so is a one-time link: their hashes stand here.
create table vault (
    hash blob primary key,
    workspace_id blob not null references workspaces (id),
    session_id blob,
    content blob not null,
    link_hash blob,
    expires_at integer not null,
    created_at integer not null
) strict;

create unique index vault_link on vault (link_hash) where link_hash is not null;
create index vault_expiry on vault (expires_at);
