-- Telling the operator's services what becomes of accounts: the receivers, and the events on their way to them.

create table webhook (
    webhook_id        text collate "C" not null,
    url               text not null,
    app               text collate "C",
    created_at        timestamptz not null,
    sealed_secret     bytea not null,
    sealed_old_secret bytea,
    old_secret_until  timestamptz,
    leased_until      timestamptz not null,
    failing_since     timestamptz,
    rests_until       timestamptz,
    constraint webhook_pkey primary key (webhook_id)
);
create unique index webhook_url on webhook (url, coalesce(app, ''));
comment on table webhook is 'where events are sent';
comment on column webhook.app is 'the app whose events it gets; null for all';
comment on column webhook.sealed_secret is
    'signs the events, and proves this row''s URL and app; nobody without the vault can make one';
comment on column webhook.sealed_old_secret is
    'the secret before, which signs too until old_secret_until';
comment on column webhook.leased_until is 'until then one sender has the webhook to itself';
comment on column webhook.failing_since is 'when it first failed of late, whatever was sent; null while it takes events';
comment on column webhook.rests_until is 'until then nothing is sent to a receiver that fails';

create table delivery (
    delivery_id  bigint generated always as identity,
    webhook_id   text collate "C" not null,
    event        text not null,
    app          text collate "C" not null,
    user_id      text collate "C" not null,
    screen_name  text not null,
    reason       text not null,
    occurred_at  timestamptz not null,
    attempts     bigint not null default 0,
    attempted_at timestamptz,
    attempt_at   timestamptz,
    delivered_at timestamptz,
    status       bigint,
    failure      text,
    sealed_link  bytea,
    constraint delivery_pkey primary key (delivery_id)
);
create index delivery_waiting on delivery (webhook_id, delivery_id) where attempt_at is not null;
create index delivery_of_account on delivery (webhook_id, app, user_id, delivery_id)
    where attempt_at is not null;
create index delivery_of_webhook on delivery (webhook_id, delivery_id);
create index delivery_occurred_at on delivery (occurred_at);
comment on table delivery is
    'an event for a webhook; numbered in the order of an account''s events';
comment on column delivery.attempted_at is 'when it was tried first';
comment on column delivery.attempt_at is 'when it is tried next; null once it is over';
comment on column delivery.status is 'of the receiver''s last answer';
comment on column delivery.sealed_link is 'the link to reconnect that was sent, and when it ends';

alter table key add column links boolean not null default false;
comment on column key.links is 'whether it may make links by which users connect its accounts';

-- Whoever was asked about longest ago is found without looking at all.
drop index account_checked_at;
create index account_checked_at on account ((coalesce(checked_at, connected_at)));
create index account_blocked on account ((coalesce(checked_at, connected_at)))
    where state = 'blocked';
