-- Telling the operator's services what becomes of accounts: the receivers, and the events on their way to them.

-- Where events are sent.
create table webhook (
    webhook_id        text not null,
    url               text not null,
    -- The app whose events it gets; null for all.
    app               text,
    created_at        text not null,
    -- Signs the events, and proves this row's URL and app; nobody without the vault can make one.
    sealed_secret     blob not null,
    -- The secret before, which signs too until old_secret_until.
    sealed_old_secret blob,
    old_secret_until  text,
    -- Until then one sender has the webhook to itself.
    leased_until      text not null,
    constraint webhook_pkey primary key (webhook_id)
) strict, without rowid;

-- An event for a webhook; numbered in the order of an account's events.
create table delivery (
    delivery_id  integer primary key autoincrement,
    webhook_id   text not null,
    event        text not null,
    app          text not null,
    user_id      text not null,
    screen_name  text not null,
    reason       text not null,
    occurred_at  text not null,
    attempts     integer not null default 0,
    -- When it is tried next; null once it is over.
    attempt_at   text,
    delivered_at text,
    -- Of the receiver's last answer.
    status       integer,
    failure      text,
    -- The link to reconnect that was sent, and when it ends.
    sealed_link  blob
) strict;
create index delivery_waiting on delivery (webhook_id, app, user_id, delivery_id)
    where attempt_at is not null;
create index delivery_attempt_at on delivery (attempt_at) where attempt_at is not null;
create index delivery_of_webhook on delivery (webhook_id, delivery_id);

-- Whether a key may make links by which users connect its accounts.
alter table key add column links integer not null default 0;
