-- The first schema. Sealed columns hold ciphertext that only the vault opens.
-- Times are RFC 3339 text in UTC with whole seconds, so that they sort.

-- X users who connected to an app.
create table account (
    -- The app's name in the configuration.
    app                 text not null,
    -- The X user's number, as text since it may exceed a signed 64-bit integer.
    user_id             text not null,
    -- As X spells it, without the @; not unique, since names change hands.
    screen_name         text not null,
    state               text not null,
    -- When the state last became what it is.
    state_since         text not null,
    -- When the account first connected; a new token does not change it.
    connected_at        text not null,
    sealed_token        blob not null,
    sealed_token_secret blob not null,
    constraint account_pkey primary key (app, user_id),
    constraint account_user_id_digits check (
        user_id glob '[1-9]*' and user_id not glob '*[^0-9]*' and length(user_id) <= 19
    ),
    constraint account_state_known check (state in ('active', 'revoked', 'blocked', 'quarantined'))
) strict, without rowid;
create index account_screen_name on account (app, lower(screen_name));

-- What internal services and admins call with.
create table key (
    -- The public part of the key.
    key_id          text not null,
    kind            text not null,
    name            text not null,
    app             text,
    -- User ids that it may name, separated by spaces; null for all of the app's.
    accounts        text,
    -- Endpoints that it may call, separated by spaces; null for all.
    endpoints       text,
    expires_at      text,
    created_at      text not null,
    revoked_at      text,
    -- To the hour.
    last_used_at    text,
    -- Proves the key and this row's scopes; nobody without the vault can make one.
    sealed_verifier blob not null,
    constraint key_pkey primary key (key_id),
    constraint key_kind_known check (kind in ('caller', 'admin'))
) strict, without rowid;
create unique index key_name on key (lower(name)) where revoked_at is null;

-- App-only bearer tokens, shared by all processes.
create table bearer (
    app          text not null,
    -- Rises by one with each mint, so that of many processes one replaces it.
    generation   integer not null,
    sealed_token blob not null,
    minted_at    text not null,
    constraint bearer_pkey primary key (app),
    constraint bearer_generation_positive check (generation > 0)
) strict, without rowid;

-- Who changed what.
create table audit (
    audit_id    integer primary key autoincrement,
    recorded_at text not null,
    -- cli, gateway, or key:<id> of an admin key.
    actor       text not null,
    action      text not null,
    subject     text not null,
    -- In words, without secrets.
    detail      text not null
) strict;

-- One row, whose number every writing transaction raises.
create table change_counter (
    is_only integer not null default 1,
    latest  integer not null,
    constraint change_counter_pkey primary key (is_only),
    constraint change_counter_is_only check (is_only = 1)
) strict, without rowid;
insert into change_counter (latest) values (0);

-- What caches must forget; numbered without gaps, old rows are pruned.
create table change (
    change_id  integer not null,
    kind       text not null,
    app        text,
    -- A user id or a key id; null for a bearer.
    subject    text,
    changed_at text not null,
    constraint change_pkey primary key (change_id),
    constraint change_kind_known check (kind in ('account', 'key', 'bearer'))
) strict;
