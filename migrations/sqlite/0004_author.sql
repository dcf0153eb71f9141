-- Who wrote which post, as answers have told.

-- What was learnt of posts, for every app: who wrote one is a fact about the post and never changes. May be emptied.
create table author (
    post_id integer primary key,
    -- The X user who wrote the post, whether connected or not.
    user_id text not null
) strict;
