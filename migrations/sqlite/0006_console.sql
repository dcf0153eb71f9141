-- Signing in to the console, admin keys that may only look, and from where somebody acts.

-- Somebody who signed in to the console.
create table session (
    -- Of what the browser's cookie holds.
    session_hash blob not null,
    -- The admin key that signed in.
    key_id       text not null,
    begun_at     text not null,
    -- To the minute.
    seen_at      text not null,
    -- Proves the row; nobody without the vault can make one.
    sealed_proof blob not null,
    constraint session_pkey primary key (session_hash)
) strict, without rowid;
create index session_of_key on session (key_id);

-- Whether an admin key may look at everything and change nothing.
alter table key add column looks integer not null default 0;

-- From where; empty for the command line and the gateway itself.
alter table audit add column address text not null default '';

-- What became of one account is shown with it.
create index audit_of_subject on audit (subject, audit_id);
