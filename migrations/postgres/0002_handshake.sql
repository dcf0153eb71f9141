-- Connecting accounts: one-time links, and handshakes in flight. What a browser or X brings back is kept as a hash alone.

create table link (
    link_hash        bytea not null,
    app              text collate "C" not null,
    label            text not null,
    expected_user_id text collate "C",
    return_to        text,
    created_at       timestamptz not null,
    expires_at       timestamptz not null,
    sealed_proof     bytea not null,
    browser_hash     bytea,
    last_end         text,
    user_id          text collate "C",
    screen_name      text,
    constraint link_pkey primary key (link_hash)
);
comment on table link is 'one-time invitations to connect an account';
comment on column link.link_hash is 'SHA-256 of what stands in the link';
comment on column link.label is 'what the admin calls it, for the audit log';
comment on column link.expected_user_id is 'the only user who may connect by it; null for any';
comment on column link.sealed_proof is
    'proves this row''s terms; nobody without the vault can make one';
comment on column link.browser_hash is 'SHA-256 of the cookie of the browser that began; null before';
comment on column link.last_end is 'how the last try ended, if not well';
comment on column link.user_id is 'who connected by it; a link that has one is used';

create table handshake (
    token_hash    bytea not null,
    link_hash     bytea not null,
    browser_hash  bytea not null,
    sealed_secret bytea not null,
    expires_at    timestamptz not null,
    constraint handshake_pkey primary key (token_hash),
    constraint handshake_link_fkey foreign key (link_hash) references link on delete cascade
);
create index handshake_link on handshake (link_hash);
comment on table handshake is 'three-legged flows in flight; removed by the callback, before the exchange';
comment on column handshake.token_hash is 'SHA-256 of the request token';
comment on column handshake.sealed_secret is 'the request token''s secret';

alter table account add column checked_at timestamptz;
create index account_checked_at on account (checked_at);
comment on column account.checked_at is 'when X was last asked about it in the background';
