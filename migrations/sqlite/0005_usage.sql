-- What calls on the upstream add up to, and which accounts were used in a month.

-- Calls on the upstream, added up by hour.
create table usage_hour (
    -- Counted from 1970.
    hour       integer not null,
    app        text not null,
    key_id     text not null,
    -- Whose token signed; empty for app-only calls.
    user_id    text not null,
    endpoint   text not null,
    auth       text not null,
    -- The class of the upstream's status; none where no answer came.
    outcome    text not null,
    -- Requests that went out, second attempts too.
    calls      integer not null,
    -- Posts that were asked about.
    posts      integer not null,
    -- Of the answers' bodies, as they came.
    bytes      integer not null,
    constraint usage_hour_pkey primary key (hour, app, key_id, user_id, endpoint, auth, outcome)
) strict, without rowid;

-- The same by day, counted from 1970, so that the sums of a year need not be made of all its hours.
create table usage_day (
    day        integer not null,
    app        text not null,
    key_id     text not null,
    user_id    text not null,
    endpoint   text not null,
    auth       text not null,
    outcome    text not null,
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    constraint usage_day_pkey primary key (day, app, key_id, user_id, endpoint, auth, outcome)
) strict, without rowid;

-- The same by month.
create table usage_month (
    -- Its first day, counted from 1970.
    month      integer not null,
    app        text not null,
    key_id     text not null,
    user_id    text not null,
    endpoint   text not null,
    auth       text not null,
    outcome    text not null,
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    constraint usage_month_pkey primary key (month, app, key_id, user_id, endpoint, auth, outcome)
) strict, without rowid;

-- The accounts whose tokens an app used in a month, which X bills.
create table account_month (
    month         text not null,
    app           text not null,
    user_id       text not null,
    first_used_at text not null,
    constraint account_month_pkey primary key (month, app, user_id)
) strict, without rowid;

-- A process that adds to usage_hour.
create table usage_writer (
    writer_id  text not null,
    began_at   text not null,
    -- Until then nothing is missing.
    written_at text not null,
    -- When it had written everything; null while more may follow.
    settled_at text,
    -- How many there were; makes a repeated one known.
    writes     integer not null,
    -- Calls that it could not keep until they were written.
    lost_calls integer not null,
    constraint usage_writer_pkey primary key (writer_id)
) strict, without rowid;

-- Recent calls, for people to look at; not all of them when there are many.
create table call (
    call_id     integer primary key autoincrement,
    called_at   text not null,
    -- The caller's own, or one that was made up; shared by the calls of one question.
    request_id  text not null,
    app         text not null,
    key_id      text not null,
    -- Whose token signed; empty for app-only calls.
    user_id     text not null,
    endpoint    text not null,
    -- Empty where the call was refused before that was decided.
    auth        text not null,
    posts       integer not null,
    -- Engagement types, with commas between.
    metrics     text not null,
    -- What the caller was told, or the upstream's status for a part of a question; 0 for none.
    status      integer not null,
    -- The gateway's own error; empty for an answer of the upstream.
    code        text not null,
    attempts    integer not null,
    micros      integer not null,
    upstream_micros integer not null,
    -- Of the answer's body.
    bytes       integer not null
) strict;
create index call_of_key on call (key_id, call_id);
create index call_of_account on call (user_id, call_id);
create index call_of_request on call (request_id, call_id);
