-- Keys may make tokens for pages of their origins; these tokens can be withdrawn.

alter table key add column origins text not null default '';
comment on column key.origins is
    'origins of pages for which it may make tokens, separated by spaces';
create index key_with_origins on key (key_id) where origins <> '';

create table token_withdrawal (
    key_id       text collate "C" not null,
    subject      text collate "C" not null,
    tokens_after bigint not null,
    constraint token_withdrawal_pkey primary key (key_id, subject),
    constraint token_withdrawal_key foreign key (key_id) references key (key_id) on delete cascade
);
comment on table token_withdrawal is 'tokens that were withdrawn; kept until they would have ended';
comment on column token_withdrawal.subject is 'whose tokens; empty for all of the key''s';
comment on column token_withdrawal.tokens_after is
    'in seconds since 1970; tokens made later are good';

create table token_seal (
    vault_key    text collate "C" not null,
    needed_until bigint not null,
    constraint token_seal_pkey primary key (vault_key)
);
comment on table token_seal is 'vault keys that sealed tokens';
comment on column token_seal.needed_until is
    'in seconds since 1970; no token that it sealed lives longer';

create table token_calls (
    token_id text collate "C" not null,
    ends_at  bigint not null,
    calls    bigint not null,
    constraint token_calls_pkey primary key (token_id)
);
comment on table token_calls is
    'the calls to X that questions with a token have taken, if its maker has limited them';
comment on column token_calls.ends_at is 'the end of the token, in seconds since 1970';

alter table call add column subject text collate "C" not null default '';
comment on column call.subject is 'whose token a page asked with; empty for none';

create table subject_usage (
    day       bigint not null,
    key_id    text collate "C" not null,
    subject   text collate "C" not null,
    questions bigint not null,
    calls     bigint not null,
    constraint subject_usage_pkey primary key (day, key_id, subject)
);
comment on table subject_usage is 'what pages have asked with the tokens of a key';
comment on column subject_usage.day is 'in days since 1970';
comment on column subject_usage.subject is
    'whose tokens; empty for those of nobody in particular, other for those that are too many';
