-- What pages ask of a year's data.

-- What is written meanwhile waits, so that it is in all sums or in none.
lock table usage_day, usage_month in share row exclusive mode;

create table usage_day_told (
    aspect     text collate "C" not null,
    day        bigint not null,
    told       text collate "C" not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    constraint usage_day_told_pkey primary key (aspect, day, told)
);
comment on table usage_day_told is
    'sums by day, told apart by one aspect alone, so that the largest are found without adding up everything';
comment on column usage_day_told.aspect is 'the name of what tells them apart';
comment on column usage_day_told.day is 'counted from 1970';
comment on column usage_day_told.told is 'which one it is, as usage_day has it';
insert into usage_day_told (aspect, day, told, calls, posts, bytes)
select 'app', day, app, sum(calls), sum(posts), sum(bytes) from usage_day group by day, app
union all select 'key', day, key_id, sum(calls), sum(posts), sum(bytes) from usage_day group by day, key_id
union all select 'account', day, user_id, sum(calls), sum(posts), sum(bytes) from usage_day group by day, user_id
union all select 'endpoint', day, endpoint, sum(calls), sum(posts), sum(bytes) from usage_day group by day, endpoint
union all select 'auth', day, auth, sum(calls), sum(posts), sum(bytes) from usage_day group by day, auth
union all select 'outcome', day, outcome, sum(calls), sum(posts), sum(bytes) from usage_day group by day, outcome;

create table usage_month_told (
    aspect     text collate "C" not null,
    told       text collate "C" not null,
    month      bigint not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    constraint usage_month_told_pkey primary key (aspect, told, month)
);
comment on table usage_month_told is 'the same by month, in the order in which they are added up';
comment on column usage_month_told.month is 'its first day, counted from 1970';
insert into usage_month_told (aspect, month, told, calls, posts, bytes)
select 'app', month, app, sum(calls), sum(posts), sum(bytes) from usage_month group by month, app
union all select 'key', month, key_id, sum(calls), sum(posts), sum(bytes) from usage_month group by month, key_id
union all select 'account', month, user_id, sum(calls), sum(posts), sum(bytes) from usage_month group by month, user_id
union all select 'endpoint', month, endpoint, sum(calls), sum(posts), sum(bytes) from usage_month group by month, endpoint
union all select 'auth', month, auth, sum(calls), sum(posts), sum(bytes) from usage_month group by month, auth
union all select 'outcome', month, outcome, sum(calls), sum(posts), sum(bytes) from usage_month group by month, outcome;

-- The sums of one key or account.
create index usage_day_of_key on usage_day (key_id, day);
create index usage_day_of_account on usage_day (user_id, day);
create index usage_month_of_key on usage_month (key_id, month);
create index usage_month_of_account on usage_month (user_id, month);

-- Deliveries in a rare state are found without looking at all.
create index delivery_given_up on delivery (webhook_id, delivery_id)
    where attempt_at is null and delivered_at is null;

-- What a killed process has not written is told by these.
alter table usage_writer
    add column counted_calls bigint not null default 0,
    add column written_calls bigint not null default 0;
comment on column usage_writer.counted_calls is 'calls that it told to have counted, written or not';
comment on column usage_writer.written_calls is 'calls that are in the sums';
