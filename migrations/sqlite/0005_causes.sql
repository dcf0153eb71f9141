-- Why calls failed, one by one, and how many by the minute.

-- Why it failed; empty for a call that succeeded, and for older ones.
alter table call add column cause text not null default '';
-- The code that X gave when it refused the call; 0 for none.
alter table call add column said_code integer not null default 0;
-- What X said when it refused the call, in words of this program; empty if it did not.
alter table call add column said text not null default '';
-- What kind of body X said it in.
alter table call add column said_form text not null default '';
-- The requests sent to X: status and microseconds, with a colon between and commas after.
alter table call add column tries text not null default '';
create index call_of_cause on call (cause, called_at) where cause <> '';

-- How calls ended, of all replicas; kept for little more than a day.
create table call_tally (
    -- In minutes since 1970.
    minute  integer not null,
    app     text not null,
    -- Why they failed; empty for those that succeeded.
    cause   text not null,
    calls   integer not null,
    -- When the last of them ended, in seconds since 1970.
    last_at integer not null,
    constraint call_tally_pkey primary key (minute, app, cause)
) strict, without rowid;

create index account_unusable on account (app, state, state_since) where state <> 'active';

-- Of an event about the gateway: names and numbers, with = between.
alter table delivery add column figures text not null default '';

-- What needs attention, as webhooks were notified.
create table attention (
    cause   text not null,
    app     text not null,
    -- When a replica last saw it, in seconds since 1970.
    seen_at integer not null,
    -- When webhooks were last notified that it began, in seconds since 1970.
    notified_at integer not null,
    -- 1 until they are notified that it is over, else 0.
    is_notified integer not null,
    constraint attention_pkey primary key (cause, app)
) strict, without rowid;
