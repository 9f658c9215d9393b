-- A verification is found by its workspace and its id together, and by its id alone nowhere: an id of another workspace takes
-- the same way as one that nobody made (OTP-15). It knows the country of its phone; one of a test number has no session. It
-- counts where it began, and belongs to the key that made it.
alter table verifications add column country text; -- of the phone; null: not known
alter table verifications alter column session_id drop not null; -- null: nothing is sent to a test number
alter table verifications add column first_session_id bytea; -- null: it began as a test number, or before anything was counted
alter table verifications add column key_id bytea; -- made it; null: no key did, or nobody noted which

alter table verification_checks add column workspace_id bytea references workspaces (id);
update verification_checks c set workspace_id = v.workspace_id from verifications v where v.id = c.verification_id;
alter table verification_checks alter column workspace_id set not null;

alter table verification_sends drop constraint verification_sends_verification_id_fkey;
alter table verification_checks drop constraint verification_checks_verification_id_fkey;
alter table verifications drop constraint verifications_id_key;
alter table verifications add unique (workspace_id, id);
alter table verification_sends
    add foreign key (workspace_id, verification_id) references verifications (workspace_id, id) on delete cascade;
alter table verification_checks
    add foreign key (workspace_id, verification_id) references verifications (workspace_id, id) on delete cascade;

drop index verification_sends_list;
create index verification_sends_list on verification_sends (workspace_id, verification_id, n);
drop index verification_checks_list;
create index verification_checks_list on verification_checks (workspace_id, verification_id, seq);
