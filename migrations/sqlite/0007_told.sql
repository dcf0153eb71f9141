-- What pages ask of a year's data.

-- Sums by day, told apart by one aspect alone, so that the largest are found without adding up everything.
create table usage_day_told (
    -- The name of what tells them apart.
    aspect     text not null,
    -- Counted from 1970.
    day        integer not null,
    -- Which one it is, as usage_day has it.
    told       text not null,
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    constraint usage_day_told_pkey primary key (aspect, day, told)
) strict, without rowid;
insert into usage_day_told (aspect, day, told, calls, posts, bytes)
select 'app', day, app, sum(calls), sum(posts), sum(bytes) from usage_day group by day, app
union all select 'key', day, key_id, sum(calls), sum(posts), sum(bytes) from usage_day group by day, key_id
union all select 'account', day, user_id, sum(calls), sum(posts), sum(bytes) from usage_day group by day, user_id
union all select 'endpoint', day, endpoint, sum(calls), sum(posts), sum(bytes) from usage_day group by day, endpoint
union all select 'auth', day, auth, sum(calls), sum(posts), sum(bytes) from usage_day group by day, auth
union all select 'outcome', day, outcome, sum(calls), sum(posts), sum(bytes) from usage_day group by day, outcome;

-- The same by month, in the order in which they are added up.
create table usage_month_told (
    aspect     text not null,
    told       text not null,
    -- Its first day, counted from 1970.
    month      integer not null,
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    constraint usage_month_told_pkey primary key (aspect, told, month)
) strict, without rowid;
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

-- Deliveries in a rare state are found without looking at all. Of indices that are alike SQLite takes the one made last.
drop index delivery_waiting;
create index delivery_waiting on delivery (webhook_id, delivery_id) where attempt_at is not null;
create index delivery_given_up on delivery (webhook_id, delivery_id)
    where attempt_at is null and delivered_at is null;

-- Calls that a process told to have counted, written or not.
alter table usage_writer add column counted_calls integer not null default 0;
-- Calls that are in the sums.
alter table usage_writer add column written_calls integer not null default 0;
