-- Events that are proven, so that nobody who writes here can have others told.

alter table delivery add column sealed_proof bytea;
comment on column delivery.sealed_proof is
    'proves what is told, for this webhook and under this number; nobody without the vault can make one';

alter table link add column key_id text collate "C";
comment on column link.key_id is
    'the key that made it; null for admins, and for links that events carry';
create index link_of_key on link (key_id, expires_at);

-- Those who were refused are forgotten one day.
create index audit_of_actor on audit (actor, recorded_at);
