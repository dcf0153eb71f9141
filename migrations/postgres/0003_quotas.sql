-- X's quotas are shared among keys by their weights, and among replicas by leases. Keys have limits of their own.

alter table key add column weight bigint not null default 1;
alter table key add column per_minute bigint;
alter table key add column at_once bigint;
comment on column key.weight is 'its part of X''s quota, compared with other keys';
comment on column key.per_minute is 'requests that it may make in a minute; null for any number';
comment on column key.at_once is 'requests of it that one replica handles at once; null for any number';

create table quota_lease (
    replica_id  text collate "C" not null,
    app         text collate "C" not null,
    pool        text collate "C" not null,
    renewed_at  bigint not null,
    share       bigint not null,
    demand      text not null,
    call_limit  bigint,
    remaining   bigint,
    reset_at    bigint,
    made        bigint not null,
    in_flight   bigint not null,
    constraint quota_lease_pkey primary key (replica_id, app, pool),
    constraint quota_lease_replica foreign key (replica_id)
        references replica (replica_id) on delete cascade
);
comment on table quota_lease is 'the part of a quota of X''s that a replica may use for some seconds';
comment on column quota_lease.pool is 'what X counts together';
comment on column quota_lease.renewed_at is 'as clock has it';
comment on column quota_lease.share is 'in millionths; those of live leases add up to a million at most';
comment on column quota_lease.demand is
    'what keys want, with spaces between: key id, weight, calls, thousandths of calls a second, and millionths of the time over which those are averaged, with colons between';
comment on column quota_lease.call_limit is 'calls in a window, as X last said; null until it has';
comment on column quota_lease.remaining is 'of these, what is left';
comment on column quota_lease.reset_at is 'the end of the window by X''s clock, in seconds since 1970';
comment on column quota_lease.made is 'what this replica has used of the window';

create table key_lease (
    replica_id  text collate "C" not null,
    key_id      text collate "C" not null,
    renewed_at  bigint not null,
    made        bigint not null,
    most        bigint not null,
    wanted      bigint not null,
    constraint key_lease_pkey primary key (replica_id, key_id)
);
comment on table key_lease is 'the requests of a limited key that a replica may take';
comment on column key_lease.renewed_at is 'as clock has it';
comment on column key_lease.made is 'requests of the last minute';
comment on column key_lease.most is 'the most that these may become until the lease is renewed';
comment on column key_lease.wanted is 'requests of the last second, taken and refused';

create table lease_counter (
    is_only  boolean not null default true,
    renewals bigint not null,
    constraint lease_counter_pkey primary key (is_only),
    constraint lease_counter_is_only check (is_only)
);
comment on table lease_counter is
    'one row, whose lock puts replicas that renew their leases one after the other';
insert into lease_counter (renewals) values (0);
