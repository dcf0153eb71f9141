-- Events that are proven, so that nobody who writes here can have others told.

-- Proves what is told, for this webhook and under this number; nobody without the vault can make one.
alter table delivery add column sealed_proof blob;
