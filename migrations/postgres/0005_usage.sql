-- What calls on the upstream add up to, and which accounts were used in a month.

create table usage_hour (
    hour       bigint not null,
    app        text collate "C" not null,
    key_id     text collate "C" not null,
    user_id    text collate "C" not null,
    endpoint   text collate "C" not null,
    auth       text collate "C" not null,
    outcome    text collate "C" not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    constraint usage_hour_pkey primary key (hour, app, key_id, user_id, endpoint, auth, outcome)
);
comment on table usage_hour is 'calls on the upstream, added up by hour';
comment on column usage_hour.hour is 'counted from 1970';
comment on column usage_hour.user_id is 'whose token signed; empty for app-only calls';
comment on column usage_hour.outcome is 'the class of the upstream''s status; none where no answer came';
comment on column usage_hour.calls is 'requests that went out, second attempts too';
comment on column usage_hour.posts is 'posts that were asked about';
comment on column usage_hour.bytes is 'of the answers'' bodies, as they came';

create table usage_day (
    day        bigint not null,
    app        text collate "C" not null,
    key_id     text collate "C" not null,
    user_id    text collate "C" not null,
    endpoint   text collate "C" not null,
    auth       text collate "C" not null,
    outcome    text collate "C" not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    constraint usage_day_pkey primary key (day, app, key_id, user_id, endpoint, auth, outcome)
);
comment on table usage_day is 'the same by day, so that the sums of a year need not be made of all its hours';
comment on column usage_day.day is 'counted from 1970';

create table usage_month (
    month      bigint not null,
    app        text collate "C" not null,
    key_id     text collate "C" not null,
    user_id    text collate "C" not null,
    endpoint   text collate "C" not null,
    auth       text collate "C" not null,
    outcome    text collate "C" not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    constraint usage_month_pkey primary key (month, app, key_id, user_id, endpoint, auth, outcome)
);
comment on table usage_month is 'the same by month';
comment on column usage_month.month is 'its first day, counted from 1970';

create table account_month (
    month         text collate "C" not null,
    app           text collate "C" not null,
    user_id       text collate "C" not null,
    first_used_at timestamptz not null,
    constraint account_month_pkey primary key (month, app, user_id)
);
comment on table account_month is 'the accounts whose tokens an app used in a month, which X bills';

create table usage_writer (
    writer_id  text collate "C" not null,
    began_at   timestamptz not null,
    written_at timestamptz not null,
    settled_at timestamptz,
    writes     bigint not null,
    lost_calls bigint not null,
    constraint usage_writer_pkey primary key (writer_id)
);
comment on table usage_writer is 'a process that adds to usage_hour';
comment on column usage_writer.written_at is 'until then nothing is missing';
comment on column usage_writer.settled_at is 'when it had written everything; null while more may follow';
comment on column usage_writer.writes is 'how many there were; makes a repeated one known';
comment on column usage_writer.lost_calls is 'calls that it could not keep until they were written';

create table call (
    call_id     bigint generated always as identity,
    called_at   timestamptz not null,
    request_id  text not null,
    app         text collate "C" not null,
    key_id      text collate "C" not null,
    user_id     text collate "C" not null,
    endpoint    text collate "C" not null,
    auth        text collate "C" not null,
    posts       bigint not null,
    metrics     text not null,
    status      bigint not null,
    code        text not null,
    attempts    bigint not null,
    micros      bigint not null,
    upstream_micros bigint not null,
    bytes       bigint not null,
    constraint call_pkey primary key (call_id)
);
create index call_of_key on call (key_id, call_id);
create index call_of_account on call (user_id, call_id);
comment on table call is 'recent calls, for people to look at; not all of them when there are many';
comment on column call.request_id is 'the caller''s own, or one that was made up; shared by the calls of one question';
comment on column call.user_id is 'whose token signed; empty for app-only calls';
comment on column call.auth is 'empty where the call was refused before that was decided';
comment on column call.metrics is 'engagement types, with commas between';
comment on column call.status is 'what the caller was told, or the upstream''s status for a part of a question; 0 for none';
comment on column call.code is 'the gateway''s own error; empty for an answer of the upstream';
comment on column call.bytes is 'of the answer''s body';
create index call_of_request on call (request_id, call_id);
