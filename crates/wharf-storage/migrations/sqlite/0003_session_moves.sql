-- Where a session's credentials went. `exported_at`: when a copy was taken that can log in as well. `moving_since`: since
-- when they are on their way to another program, and the session stays off until somebody says that they arrived.
alter table sessions add column exported_at integer;
alter table sessions add column moving_since integer;
