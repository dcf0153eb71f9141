-- Which replicas live, and what they hold.

-- The database's own time, in seconds since 1970. Replicas' clocks may differ, so how long one has been silent is told
-- by this alone.
create view clock as select unixepoch() as seconds;

-- A gateway that serves; one that has been silent for too long is dead.
create table replica (
    replica_id   text not null,
    host         text not null,
    version      text not null,
    started_at   text not null,
    -- As clock has it.
    heard_at     integer not null,
    -- The ids of the vault keys on its ring, with spaces between.
    vault_keys   text not null,
    -- The id of the vault key that it seals with.
    vault_active text not null,
    constraint replica_pkey primary key (replica_id)
) strict, without rowid;
