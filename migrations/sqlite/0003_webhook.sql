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
    -- When it first failed of late, whatever was sent; null while it takes events.
    failing_since     text,
    -- Until then nothing is sent to a receiver that fails.
    rests_until       text,
    constraint webhook_pkey primary key (webhook_id)
) strict, without rowid;
create unique index webhook_url on webhook (url, coalesce(app, ''));

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
    -- When it was tried first.
    attempted_at text,
    -- When it is tried next; null once it is over.
    attempt_at   text,
    delivered_at text,
    -- Of the receiver's last answer.
    status       integer,
    failure      text,
    -- The link to reconnect that was sent, and when it ends.
    sealed_link  blob
) strict;
create index delivery_waiting on delivery (webhook_id, delivery_id) where attempt_at is not null;
create index delivery_of_account on delivery (webhook_id, app, user_id, delivery_id)
    where attempt_at is not null;
create index delivery_of_webhook on delivery (webhook_id, delivery_id);
create index delivery_occurred_at on delivery (occurred_at);

-- Whether a key may make links by which users connect its accounts.
alter table key add column links integer not null default 0;

-- Whoever was asked about longest ago is found without looking at all.
drop index account_checked_at;
create index account_checked_at on account ((coalesce(checked_at, connected_at)));
create index account_blocked on account ((coalesce(checked_at, connected_at)))
    where state = 'blocked';
