-- What version 3 may have written beside what version 2 did.
insert into key (key_id, role, name, app, rights, created_at, sealed_verifier, weight, per_minute, at_once)
values ('k3', 'caller', 'limited', 'main', '', '2026-03-03T00:00:00Z', cast('proof' as blob), 3, 60, 4);
insert into replica (replica_id, host, version, started_at, heard_at, vault_keys, vault_active)
values ('r3', 'host', '0.1.0', '2026-03-03T00:00:00Z', 0, 'k0000001', 'k0000001');
insert into quota_lease (replica_id, app, pool, renewed_at, share, demand, call_limit, remaining, reset_at, made, in_flight)
values ('r3', 'main', 'app-only totals', 4000000000, 250000, 'k3:3:7:1500:500000', 600, 599, 1773177360, 12, 2);
insert into key_lease (replica_id, key_id, renewed_at, made, most, wanted) values ('r3', 'k3', 4000000000, 5, 20, 9);
