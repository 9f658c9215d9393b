-- The plan that something was done with, as `session_id` is the session. Entries outlive it, so that nothing refers to it.
alter table audit add column plan_id blob;
