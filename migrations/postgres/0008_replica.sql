-- Which replicas live, and what they hold.

-- Replicas' clocks may differ, so how long one has been silent is told by the database's alone.
create view clock as select floor(extract(epoch from clock_timestamp()))::bigint as seconds;
comment on view clock is 'the database''s own time, in seconds since 1970';

create table replica (
    replica_id   text collate "C" not null,
    host         text not null,
    version      text not null,
    started_at   timestamptz not null,
    heard_at     bigint not null,
    vault_keys   text not null,
    vault_active text not null,
    constraint replica_pkey primary key (replica_id)
);
comment on table replica is 'a gateway that serves; one that has been silent for too long is dead';
comment on column replica.heard_at is 'as clock has it';
comment on column replica.vault_keys is 'the ids of the vault keys on its ring, with spaces between';
comment on column replica.vault_active is 'the id of the vault key that it seals with';
