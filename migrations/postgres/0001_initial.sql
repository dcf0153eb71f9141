-- The first schema. Sealed columns hold ciphertext that only the vault opens.

create table account (
    app                 text collate "C" not null,
    user_id             text collate "C" not null,
    screen_name         text collate "C" not null,
    state               text not null,
    state_since         timestamptz not null,
    connected_at        timestamptz not null,
    sealed_token        bytea not null,
    sealed_token_secret bytea not null,
    constraint account_pkey primary key (app, user_id),
    constraint account_user_id_digits check (user_id ~ '^[1-9][0-9]{0,18}$'),
    constraint account_state_known check (state in ('active', 'revoked', 'blocked', 'quarantined'))
);
create index account_screen_name on account (app, lower(screen_name));
comment on table account is 'X users who connected to an app';
comment on column account.app is 'the app''s name in the configuration';
comment on column account.user_id is
    'the X user''s number, as text since it may exceed a signed 64-bit integer';
comment on column account.screen_name is
    'as X spells it, without the @; not unique, since names change hands';
comment on column account.state_since is 'when the state last became what it is';
comment on column account.connected_at is
    'when the account first connected; a new token does not change it';

create table key (
    key_id          text collate "C" not null,
    kind            text not null,
    name            text collate "C" not null,
    app             text collate "C",
    accounts        text,
    endpoints       text,
    expires_at      timestamptz,
    created_at      timestamptz not null,
    revoked_at      timestamptz,
    last_used_at    timestamptz,
    sealed_verifier bytea not null,
    constraint key_pkey primary key (key_id),
    constraint key_kind_known check (kind in ('caller', 'admin'))
);
create unique index key_name on key (lower(name)) where revoked_at is null;
comment on table key is 'what internal services and admins call with';
comment on column key.key_id is 'the public part of the key';
comment on column key.accounts is
    'user ids that it may name, separated by spaces; null for all of the app''s';
comment on column key.endpoints is
    'endpoints that it may call, separated by spaces; null for all';
comment on column key.last_used_at is 'to the hour';
comment on column key.sealed_verifier is
    'proves the key and this row''s scopes; nobody without the vault can make one';

create table bearer (
    app          text collate "C" not null,
    generation   bigint not null,
    sealed_token bytea not null,
    minted_at    timestamptz not null,
    constraint bearer_pkey primary key (app),
    constraint bearer_generation_positive check (generation > 0)
);
comment on table bearer is 'app-only bearer tokens, shared by all replicas';
comment on column bearer.generation is
    'rises by one with each mint, so that of many replicas one replaces it';

create table audit (
    audit_id    bigint generated always as identity,
    recorded_at timestamptz not null,
    actor       text not null,
    action      text not null,
    subject     text not null,
    detail      text not null,
    constraint audit_pkey primary key (audit_id)
);
comment on table audit is 'who changed what';
comment on column audit.actor is 'cli, gateway, or key:<id> of an admin key';
comment on column audit.detail is 'in words, without secrets';

create table change_counter (
    is_only boolean not null default true,
    latest  bigint not null,
    constraint change_counter_pkey primary key (is_only),
    constraint change_counter_is_only check (is_only)
);
comment on table change_counter is
    'one row, whose lock puts writing transactions in the order of their changes';
insert into change_counter (latest) values (0);

create table change (
    change_id  bigint not null,
    kind       text not null,
    app        text collate "C",
    subject    text collate "C",
    changed_at timestamptz not null,
    constraint change_pkey primary key (change_id),
    constraint change_kind_known check (kind in ('account', 'key', 'bearer'))
);
comment on table change is
    'what caches must forget; numbered without gaps, old rows are pruned';
comment on column change.subject is 'a user id or a key id; null for a bearer';
