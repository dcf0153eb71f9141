-- Caches forget an author that was learnt wrongly.

alter table change
    drop constraint change_kind_known,
    add constraint change_kind_known check (kind in ('account', 'key', 'bearer', 'author'));
comment on column change.subject is 'a user id, a key id or a post id; null for a bearer';
