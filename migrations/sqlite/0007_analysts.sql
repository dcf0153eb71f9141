-- A key may be an analyst's. SQLite changes no constraint of a table, so the table is made anew. Withdrawals, which would
-- go with their keys, are put aside.

create temporary table withdrawal_aside as select * from token_withdrawal;

create table key_anew (
    -- The public part of the key.
    key_id          text not null,
    -- A caller's key opens the callers' listener; the others are admins: an auditor changes nothing, and an analyst explores
    -- and sees usage.
    role            text not null,
    name            text not null,
    app             text,
    -- User ids that it may name, separated by spaces; null for all of the app's.
    accounts        text,
    -- Endpoints that it may call, separated by spaces; null for all.
    endpoints       text,
    -- What else it may do, such as create_links, separated by spaces.
    rights          text not null default '',
    expires_at      text,
    created_at      text not null,
    revoked_at      text,
    -- To the hour.
    last_used_at    text,
    -- Proves the key and everything that it may do; nobody without the vault can make one.
    sealed_verifier blob not null,
    -- Its part of X's quota, compared with other keys.
    weight          integer not null default 1,
    -- Requests that it may make in a minute; null for any number.
    per_minute      integer,
    -- Requests of it that one replica handles at once; null for any number.
    at_once         integer,
    -- Origins of pages for which it may make tokens, separated by spaces.
    origins         text not null default '',
    constraint key_pkey primary key (key_id),
    constraint key_role_known check (role in ('caller', 'owner', 'auditor', 'analyst'))
) strict, without rowid;
insert into key_anew
    select key_id, role, name, app, accounts, endpoints, rights, expires_at, created_at, revoked_at,
           last_used_at, sealed_verifier, weight, per_minute, at_once, origins
    from key;
drop table key;
alter table key_anew rename to key;
create unique index key_name on key (lower(name)) where revoked_at is null;
create index key_with_origins on key (key_id) where origins <> '';

insert into token_withdrawal (key_id, subject, tokens_after)
    select key_id, subject, tokens_after from withdrawal_aside where true
    on conflict (key_id, subject) do nothing;
drop table withdrawal_aside;
