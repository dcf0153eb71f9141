-- Who wrote which post, as answers have told.

create table author (
    post_id bigint not null,
    user_id text collate "C" not null,
    constraint author_pkey primary key (post_id),
    constraint author_user_id_digits check (user_id ~ '^[1-9][0-9]{0,18}$')
);
comment on table author is
    'what was learnt of posts, for every app: who wrote one is a fact about the post and never changes; may be emptied';
comment on column author.user_id is 'the X user who wrote the post, whether connected or not';
