-- The posts of an author are read by their ids, newest first.

create index author_posts on author (user_id, post_id);
