-- A key may be an analyst's.

alter table key drop constraint key_role_known;
alter table key add constraint key_role_known
    check (role in ('caller', 'owner', 'auditor', 'analyst'));
comment on column key.role is
    'a caller''s key opens the callers'' listener; the others are admins: an auditor changes nothing, and an analyst explores and sees usage';
