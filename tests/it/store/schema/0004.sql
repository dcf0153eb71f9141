-- What version 4 may have written beside what version 3 did.
insert into key (key_id, role, name, app, rights, created_at, sealed_verifier, origins)
values ('k4', 'caller', 'charts', 'main', 'browser', '2026-03-04T00:00:00Z', cast('proof' as blob), 'https://app.example.com http://localhost:8300');
insert into token_withdrawal (key_id, subject, tokens_after) values ('k4', 'viewer-42', 1773177330);
insert into token_seal (vault_key, needed_until) values ('k0000001', 1773180990);
insert into token_calls (token_id, ends_at, calls) values ('bt_1', 1773180990, 7);
insert into subject_usage (day, key_id, subject, questions, calls) values (20522, 'k4', 'viewer-42', 3, 5);
