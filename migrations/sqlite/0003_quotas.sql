-- X's quotas are shared among keys by their weights, and among replicas by leases. Keys have limits of their own.

-- Its part of X's quota, compared with other keys.
alter table key add column weight integer not null default 1;
-- Requests that it may make in a minute; null for any number.
alter table key add column per_minute integer;
-- Requests of it that one replica handles at once; null for any number.
alter table key add column at_once integer;

-- The part of a quota of X's that a replica may use for some seconds.
create table quota_lease (
    replica_id text not null,
    app        text not null,
    -- What X counts together.
    pool       text not null,
    -- As clock has it.
    renewed_at integer not null,
    -- In millionths; those of live leases add up to a million at most.
    share      integer not null,
    -- What keys want, with spaces between: key id, weight, calls, thousandths of calls a second, and millionths of the
    -- time over which those are averaged, with colons between.
    demand     text not null,
    -- Calls in a window, what is left of these, and the end of the window by X's clock, in seconds since 1970, as X last
    -- said; null until it has.
    call_limit integer,
    remaining  integer,
    reset_at   integer,
    -- What this replica has used of the window.
    made       integer not null,
    in_flight  integer not null,
    constraint quota_lease_pkey primary key (replica_id, app, pool),
    constraint quota_lease_replica foreign key (replica_id)
        references replica (replica_id) on delete cascade
) strict, without rowid;

-- The requests of a limited key that a replica may take.
create table key_lease (
    replica_id text not null,
    key_id     text not null,
    -- As clock has it.
    renewed_at integer not null,
    -- Requests of the last minute.
    made       integer not null,
    -- The most that these may become until the lease is renewed.
    most       integer not null,
    -- Requests of the last second, taken and refused.
    wanted     integer not null,
    constraint key_lease_pkey primary key (replica_id, key_id)
) strict, without rowid;

-- One row, whose lock puts replicas that renew their leases one after the other.
create table lease_counter (
    is_only  integer not null default 1,
    renewals integer not null,
    constraint lease_counter_pkey primary key (is_only),
    constraint lease_counter_is_only check (is_only = 1)
) strict, without rowid;
insert into lease_counter (renewals) values (0);
