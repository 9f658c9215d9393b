-- The text that a key had before its last rotation: it works beside the new one until its time is over.
alter table api_keys add column previous_hash blob; -- SHA-256 of the whole text
alter table api_keys add column previous_until integer;

create unique index api_keys_previous_hash on api_keys (previous_hash) where previous_hash is not null;

-- The key that something was done with, as `session_id` is the session. It is not the key of whoever did it: that is `who`.
alter table audit add column api_key_id blob;
