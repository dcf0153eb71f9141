-- Signing in to the console, admin keys that may only look, and from where somebody acts.

create table session (
    session_hash bytea not null,
    key_id       text collate "C" not null,
    begun_at     timestamptz not null,
    seen_at      timestamptz not null,
    sealed_proof bytea not null,
    constraint session_pkey primary key (session_hash)
);
create index session_of_key on session (key_id);
comment on table session is 'somebody who signed in to the console';
comment on column session.session_hash is 'of what the browser''s cookie holds';
comment on column session.key_id is 'the admin key that signed in';
comment on column session.seen_at is 'to the minute';
comment on column session.sealed_proof is 'proves the row; nobody without the vault can make one';

alter table key add column looks boolean not null default false;
comment on column key.looks is 'whether an admin key may look at everything and change nothing';

alter table audit add column address text not null default '';
comment on column audit.address is 'from where; empty for the command line and the gateway itself';

-- What became of one account is shown with it.
create index audit_of_subject on audit (subject, audit_id);
