-- Several events of a webhook are sent at a time, each under a lease of its own; an import is one event.

alter table delivery add column leased_until timestamptz;
alter table delivery add column added bigint;
alter table delivery add column replaced bigint;
create index delivery_due on delivery (webhook_id, attempt_at, delivery_id)
    where attempt_at is not null;
create index delivery_ending on delivery (webhook_id, attempt_at, delivery_id)
    where attempt_at is not null
        and event in ('account.revoked', 'account.blocked', 'account.quarantined', 'account.removed');
create index delivery_leased on delivery (webhook_id, leased_until) where leased_until is not null;
comment on column delivery.leased_until is
    'until then one sender has it to itself; null while nobody sends it';
comment on column delivery.user_id is 'empty for an import';
comment on column delivery.screen_name is 'empty for an import';
comment on column delivery.added is 'how many accounts an import added; null for other events';
comment on column delivery.replaced is
    'of how many accounts an import replaced the tokens; null for other events';
comment on column webhook.leased_until is
    'when its events were last taken, by which webhooks take turns';
comment on column change.subject is
    'user ids with spaces between, a key id or a post id; null for a bearer';
