-- What version 2 may have written beside what version 1 did.
insert into delivery (webhook_id, event, app, user_id, screen_name, added, replaced, reason, occurred_at, attempt_at, sealed_proof)
values ('w1', 'accounts.imported', 'main', '', '', 3, 2, 'the tokens were imported', '2026-03-03T00:00:00Z', '2026-03-03T00:00:00Z', cast('proof' as blob));
insert into change (change_id, kind, app, subject, changed_at) values (100, 'account', 'main', '7 11', '2026-03-03T00:00:00Z');
update change_counter set latest = 100;
