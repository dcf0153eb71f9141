-- What version 7 may have written beside what version 6 did.
insert into key (key_id, role, name, app, rights, created_at, sealed_verifier)
values ('k5', 'analyst', 'Ann', null, '', '2026-03-05T00:00:00Z', cast('proof' as blob)),
       ('k6', 'auditor', 'Eve', null, 'explore', '2026-03-05T00:00:00Z', cast('proof' as blob));
