-- Texts of messages with codes that a workspace wrote itself: by their name and language.
create table otp_texts (
    workspace_id blob not null references workspaces (id),
    template text not null,
    locale text not null,
    body blob not null, -- sealed
    created_at integer not null,
    updated_at integer not null,
    primary key (workspace_id, template, locale)
) strict;
