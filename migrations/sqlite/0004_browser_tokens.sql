-- Keys may make tokens for pages of their origins; these tokens can be withdrawn.

-- Origins of pages for which it may make tokens, separated by spaces.
alter table key add column origins text not null default '';
create index key_with_origins on key (key_id) where origins <> '';

-- Tokens that were withdrawn; kept until they would have ended.
create table token_withdrawal (
    key_id       text not null,
    -- Whose tokens; empty for all of the key's.
    subject      text not null,
    -- In seconds since 1970; tokens made later are good.
    tokens_after integer not null,
    constraint token_withdrawal_pkey primary key (key_id, subject),
    constraint token_withdrawal_key foreign key (key_id) references key (key_id) on delete cascade
) strict, without rowid;

-- Vault keys that sealed tokens.
create table token_seal (
    vault_key    text not null,
    -- In seconds since 1970; no token that it sealed lives longer.
    needed_until integer not null,
    constraint token_seal_pkey primary key (vault_key)
) strict, without rowid;

-- The calls to X that questions with a token have taken, if its maker has limited them.
create table token_calls (
    token_id text not null,
    -- The end of the token, in seconds since 1970.
    ends_at  integer not null,
    calls    integer not null,
    constraint token_calls_pkey primary key (token_id)
) strict, without rowid;

-- Whose token a page asked with; empty for none.
alter table call add column subject text not null default '';

-- What pages have asked with the tokens of a key.
create table subject_usage (
    -- In days since 1970.
    day       integer not null,
    key_id    text not null,
    -- Whose tokens; empty for those of nobody in particular, other for those that are too many.
    subject   text not null,
    questions integer not null,
    calls     integer not null,
    constraint subject_usage_pkey primary key (day, key_id, subject)
) strict, without rowid;
