-- Texts of messages with codes that a workspace wrote itself: by their name and language.
create table otp_texts (
    workspace_id bytea not null references workspaces (id),
    template text not null,
    locale text not null,
    body bytea not null, -- sealed
    created_at bigint not null,
    updated_at bigint not null,
    primary key (workspace_id, template, locale)
);
