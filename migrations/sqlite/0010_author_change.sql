-- Caches forget an author that was learnt wrongly. What is lost of the old table makes them forget everything.

drop table change;
create table change (
    change_id  integer not null,
    kind       text not null,
    app        text,
    -- A user id, a key id or a post id; null for a bearer.
    subject    text,
    changed_at text not null,
    constraint change_pkey primary key (change_id),
    constraint change_kind_known check (kind in ('account', 'key', 'bearer', 'author'))
) strict;
