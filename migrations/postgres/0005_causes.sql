-- Why calls failed, one by one, and how many by the minute.

alter table call add column cause text collate "C" not null default '';
comment on column call.cause is 'why it failed; empty for a call that succeeded, and for older ones';
alter table call add column said_code bigint not null default 0;
comment on column call.said_code is 'the code that X gave when it refused the call; 0 for none';
alter table call add column said text not null default '';
comment on column call.said is
    'what X said when it refused the call, in words of this program; empty if it did not';
alter table call add column said_form text not null default '';
comment on column call.said_form is 'what kind of body X said it in';
alter table call add column tries text not null default '';
comment on column call.tries is
    'the requests sent to X: status and microseconds, with a colon between and commas after';
create index call_of_cause on call (cause, called_at) where cause <> '';

create table call_tally (
    minute  bigint not null,
    app     text collate "C" not null,
    cause   text collate "C" not null,
    calls   bigint not null,
    last_at bigint not null,
    constraint call_tally_pkey primary key (minute, app, cause)
);
comment on table call_tally is 'how calls ended, of all replicas; kept for little more than a day';
comment on column call_tally.minute is 'in minutes since 1970';
comment on column call_tally.cause is 'why they failed; empty for those that succeeded';
comment on column call_tally.last_at is 'when the last of them ended, in seconds since 1970';

create index account_unusable on account (app, state, state_since) where state <> 'active';

alter table delivery add column figures text not null default '';
comment on column delivery.figures is 'of an event about the gateway: names and numbers, with = between';

create table attention (
    cause   text collate "C" not null,
    app     text collate "C" not null,
    seen_at bigint not null,
    notified_at bigint not null,
    is_notified bigint not null,
    constraint attention_pkey primary key (cause, app)
);
comment on table attention is 'what needs attention, as webhooks were notified';
comment on column attention.seen_at is 'when a replica last saw it, in seconds since 1970';
comment on column attention.notified_at is 'when webhooks were last notified that it began, in seconds since 1970';
comment on column attention.is_notified is '1 until they are notified that it is over, else 0';
