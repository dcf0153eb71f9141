-- Rows as version 1 of the schema held them, one a table at least. Later migrations must keep and read them.
insert into account (app, user_id, screen_name, state, state_since, connected_at, checked_at, sealed_token, sealed_token_secret)
values ('main', '7', 'alice', 'active', '2026-03-01T00:00:00Z', '2026-03-01T00:00:00Z', null, cast('token' as blob), cast('secret' as blob));
insert into key (key_id, role, name, app, accounts, endpoints, rights, expires_at, created_at, revoked_at, last_used_at, sealed_verifier)
values ('k1', 'caller', 'reports', 'main', '7 11', 'totals 28hr', 'create_links', null, '2026-03-01T00:00:00Z', null, '2026-03-02T00:00:00Z', cast('verifier' as blob)),
       ('k2', 'auditor', 'Ada', null, null, null, '', '2027-03-01T00:00:00Z', '2026-03-01T00:00:00Z', null, null, cast('verifier' as blob));
insert into bearer (app, generation, sealed_token, minted_at) values ('main', 1, cast('token' as blob), '2026-03-01T00:00:00Z');
insert into link (link_hash, app, label, key_id, expected_user_id, return_to, created_at, expires_at, sealed_proof)
values (cast('link' as blob), 'main', 'campaign', 'k1', '7', null, '2026-03-01T00:00:00Z', '2026-03-08T00:00:00Z', cast('proof' as blob));
insert into handshake (token_hash, link_hash, browser_hash, sealed_secret, expires_at)
values (cast('request' as blob), cast('link' as blob), cast('browser' as blob), cast('secret' as blob), '2026-03-01T01:00:00Z');
insert into webhook (webhook_id, url, app, created_at, sealed_secret, leased_until)
values ('w1', 'https://hooks.example.com/', null, '2026-03-01T00:00:00Z', cast('secret' as blob), '2026-03-01T00:00:00Z');
insert into delivery (webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempt_at, sealed_proof)
values ('w1', 'account.revoked', 'main', '7', 'alice', 'the user withdrew access', '2026-03-02T00:00:00Z', '2026-03-02T00:00:00Z', cast('proof' as blob));
insert into author (post_id, user_id) values (1, '7');
insert into session (session_hash, key_id, started_at, seen_at, sealed_proof)
values (cast('session' as blob), 'k2', '2026-03-01T00:00:00Z', '2026-03-01T00:00:00Z', cast('proof' as blob));
insert into audit (recorded_at, actor, address, action, subject, detail)
values ('2026-03-01T00:00:00Z', 'cli', '', 'key.created', 'key:k1', 'caller key "reports"');
insert into call (called_at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, status, code, attempts, micros, upstream_micros, bytes)
values ('2026-03-01T00:00:00Z', 'r1', 'main', 'k1', '7', 'totals', 'user_context', 1, 'impressions', 200, '', 1, 1000, 900, 512);
insert into usage_hour (hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) values (492336, 'main', 'k1', '7', 'totals', 'user_context', '2xx', 3, 5, 512);
insert into usage_day (day, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) values (20514, 'main', 'k1', '7', 'totals', 'user_context', '2xx', 3, 5, 512);
insert into usage_month (month, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) values (20513, 'main', 'k1', '7', 'totals', 'user_context', '2xx', 3, 5, 512);
insert into usage_day_by_aspect (aspect, day, value, calls, posts, bytes) values ('app', 20514, 'main', 3, 5, 512);
insert into usage_month_by_aspect (aspect, value, month, calls, posts, bytes) values ('app', 'main', 20513, 3, 5, 512);
insert into account_month (month, app, user_id, first_used_at) values ('2026-03', 'main', '7', '2026-03-01T00:00:00Z');
insert into usage_writer (writer_id, started_at, written_at, settled_at, writes, lost_calls) values ('u1', '2026-03-01T00:00:00Z', '2026-03-01T00:10:00Z', null, 1, 0);
insert into replica (replica_id, host, version, started_at, heard_at, vault_keys, vault_active) values ('p1', 'gateway-1', '0.1.0', '2026-03-01T00:00:00Z', 1772323200, 'k0000001', 'k0000001');
