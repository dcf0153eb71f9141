-- Several events of a webhook are sent at a time, each under a lease of its own; an import is one event. From now on
-- webhook.leased_until is when its events were last taken, by which webhooks take turns, and change.subject may hold
-- several user ids with spaces between.

-- Until then one sender has it to itself; null while nobody sends it.
alter table delivery add column leased_until text;
-- How many accounts an import added, and of how many it replaced the tokens; null for other events. An import has no
-- user_id and no screen_name.
alter table delivery add column added integer;
alter table delivery add column replaced integer;
create index delivery_due on delivery (webhook_id, attempt_at, delivery_id)
    where attempt_at is not null;
create index delivery_ending on delivery (webhook_id, attempt_at, delivery_id)
    where attempt_at is not null
        and event in ('account.revoked', 'account.blocked', 'account.quarantined', 'account.removed');
create index delivery_leased on delivery (webhook_id, leased_until) where leased_until is not null;
