-- What version 5 may have written beside what version 4 did.
insert into call (called_at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, status, code, attempts, micros, upstream_micros, bytes, cause, said_code, said, said_form, tries)
values ('2026-03-05T00:00:00Z', 'r5', 'main', 'k1', '7', '', 'user-context', 1, 'favorites', 401, '', 2, 5000, 4000, 72, 'account_revoked', 89, 'Invalid or expired token', 'errors in JSON', '503:1200,401:');
insert into call_tally (minute, app, cause, calls, last_at) values (29552955, 'main', 'account_revoked', 3, 1773177330);
insert into delivery (webhook_id, event, app, user_id, screen_name, figures, reason, occurred_at, attempt_at, sealed_proof)
values ('w1', 'gateway.degraded', '', '', 'clock_off', 'seconds=612', 'why', '2026-03-05T00:00:00Z', '2026-03-05T00:00:00Z', cast('proof' as blob));
insert into attention (cause, app, seen_at, notified_at, is_notified) values ('clock_off', '', 1773177330, 1773177330, 1);
