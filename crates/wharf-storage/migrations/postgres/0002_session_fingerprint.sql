-- Which linked device a session is: the same credentials are held by one session only. A hash of the device's public
-- identity key (wharf-vault), so that it tells nothing of the account.
alter table sessions add column fingerprint text;

create index sessions_fingerprint on sessions (fingerprint)
    where fingerprint is not null and unlinked_at is null and deleted_at is null;
