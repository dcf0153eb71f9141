-- Connecting accounts: one-time links, and handshakes in flight. What a browser or X brings back is kept as a hash alone.

-- One-time invitations to connect an account.
create table link (
    -- SHA-256 of what stands in the link.
    link_hash        blob not null,
    app              text not null,
    -- What the admin calls it, for the audit log.
    label            text not null,
    -- The only user who may connect by it; null for any.
    expected_user_id text,
    return_to        text,
    created_at       text not null,
    expires_at       text not null,
    -- Proves this row's terms; nobody without the vault can make one.
    sealed_proof     blob not null,
    -- SHA-256 of the cookie of the browser that began; null before.
    browser_hash     blob,
    -- How the last try ended, if not well.
    last_end         text,
    -- Who connected by it; a link that has one is used.
    user_id          text,
    screen_name      text,
    constraint link_pkey primary key (link_hash)
) strict, without rowid;

-- Three-legged flows in flight; removed by the callback, before the exchange.
create table handshake (
    -- SHA-256 of the request token.
    token_hash    blob not null,
    link_hash     blob not null,
    browser_hash  blob not null,
    -- The request token's secret.
    sealed_secret blob not null,
    expires_at    text not null,
    constraint handshake_pkey primary key (token_hash),
    constraint handshake_link_fkey foreign key (link_hash) references link on delete cascade
) strict, without rowid;
create index handshake_link on handshake (link_hash);

-- When X was last asked about it in the background.
alter table account add column checked_at text;
create index account_checked_at on account (checked_at);
