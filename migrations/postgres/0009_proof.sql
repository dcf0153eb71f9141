-- Events that are proven, so that nobody who writes here can have others told.

alter table delivery add column sealed_proof bytea;
comment on column delivery.sealed_proof is
    'proves what is told, for this webhook and under this number; nobody without the vault can make one';
