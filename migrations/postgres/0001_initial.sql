-- The first schema. Sealed columns hold ciphertext that only the vault opens.

create table account (
    app                 text collate "C" not null,
    user_id             text collate "C" not null,
    screen_name         text collate "C" not null,
    state               text not null,
    state_since         timestamptz not null,
    connected_at        timestamptz not null,
    checked_at          timestamptz,
    sealed_token        bytea not null,
    sealed_token_secret bytea not null,
    constraint account_pkey primary key (app, user_id),
    constraint account_user_id_digits check (user_id ~ '^[1-9][0-9]{0,18}$'),
    constraint account_state_known check (state in ('active', 'revoked', 'blocked', 'quarantined'))
);
create index account_screen_name on account (app, lower(screen_name));
create index account_checked_at on account ((coalesce(checked_at, connected_at)));
create index account_blocked on account ((coalesce(checked_at, connected_at)))
    where state = 'blocked';
comment on table account is 'X users who connected to an app';
comment on column account.app is 'the app''s name in the configuration';
comment on column account.user_id is
    'the X user''s number, as text since it may exceed a signed 64-bit integer';
comment on column account.screen_name is
    'as X spells it, without the @; not unique, since names change hands';
comment on column account.state_since is 'when the state last became what it is';
comment on column account.connected_at is
    'when the account first connected; a new token does not change it';
comment on column account.checked_at is 'when a background check last asked X about it';

create table key (
    key_id          text collate "C" not null,
    role            text not null,
    name            text collate "C" not null,
    app             text collate "C",
    accounts        text,
    endpoints       text,
    rights          text not null default '',
    expires_at      timestamptz,
    created_at      timestamptz not null,
    revoked_at      timestamptz,
    last_used_at    timestamptz,
    sealed_verifier bytea not null,
    constraint key_pkey primary key (key_id),
    constraint key_role_known check (role in ('caller', 'owner', 'auditor'))
);
create unique index key_name on key (lower(name)) where revoked_at is null;
comment on table key is 'what internal services and admins call with';
comment on column key.key_id is 'the public part of the key';
comment on column key.role is
    'a caller''s key opens the callers'' listener; owners and auditors are admins, and an auditor changes nothing';
comment on column key.accounts is
    'user ids that it may name, separated by spaces; null for all of the app''s';
comment on column key.endpoints is
    'endpoints that it may call, separated by spaces; null for all';
comment on column key.rights is
    'what else it may do, such as create_links, separated by spaces';
comment on column key.last_used_at is 'to the hour';
comment on column key.sealed_verifier is
    'proves the key and everything that it may do; nobody without the vault can make one';

create table bearer (
    app          text collate "C" not null,
    generation   bigint not null,
    sealed_token bytea not null,
    minted_at    timestamptz not null,
    constraint bearer_pkey primary key (app),
    constraint bearer_generation_positive check (generation > 0)
);
comment on table bearer is 'app-only bearer tokens, shared by all replicas';
comment on column bearer.generation is
    'rises by one with each mint, so that of many replicas one replaces it';

create table link (
    link_hash        bytea not null,
    app              text collate "C" not null,
    label            text not null,
    key_id           text collate "C",
    expected_user_id text collate "C",
    return_to        text,
    created_at       timestamptz not null,
    expires_at       timestamptz not null,
    sealed_proof     bytea not null,
    browser_hash     bytea,
    last_failure     text,
    user_id          text collate "C",
    screen_name      text,
    constraint link_pkey primary key (link_hash)
);
create index link_of_key on link (key_id, expires_at);
comment on table link is 'one-time invitations to connect an account';
comment on column link.link_hash is 'SHA-256 of what stands in the link';
comment on column link.label is 'what the admin calls it, for the audit log';
comment on column link.expected_user_id is 'the only user who may connect by it; null for any';
comment on column link.sealed_proof is
    'proves this row''s terms; nobody without the vault can make one';
comment on column link.browser_hash is 'SHA-256 of the cookie of the browser that began; null before';
comment on column link.last_failure is 'why the last try failed';
comment on column link.user_id is 'who connected by it; a link that has one is used';
comment on column link.key_id is
    'the key that created it; null for admins, and for links that events carry';

create table handshake (
    token_hash    bytea not null,
    link_hash     bytea not null,
    browser_hash  bytea not null,
    sealed_secret bytea not null,
    expires_at    timestamptz not null,
    constraint handshake_pkey primary key (token_hash),
    constraint handshake_link_fkey foreign key (link_hash) references link on delete cascade
);
create index handshake_link on handshake (link_hash);
comment on table handshake is 'three-legged flows in flight; removed by the callback, before the exchange';
comment on column handshake.token_hash is 'SHA-256 of the request token';
comment on column handshake.sealed_secret is 'the request token''s secret';

create table webhook (
    webhook_id        text collate "C" not null,
    url               text not null,
    app               text collate "C",
    created_at        timestamptz not null,
    sealed_secret     bytea not null,
    sealed_old_secret bytea,
    old_secret_until  timestamptz,
    leased_until      timestamptz not null,
    failing_since     timestamptz,
    paused_until      timestamptz,
    constraint webhook_pkey primary key (webhook_id)
);
create unique index webhook_url on webhook (url, coalesce(app, ''));
comment on table webhook is 'where events are sent';
comment on column webhook.app is 'the app whose events it gets; null for all';
comment on column webhook.sealed_secret is
    'signs the events, and proves this row''s URL and app; nobody without the vault can make one';
comment on column webhook.sealed_old_secret is
    'the secret before, which signs too until old_secret_until';
comment on column webhook.leased_until is 'until then one sender has the webhook to itself';
comment on column webhook.failing_since is 'when it began to fail; null while it takes events';
comment on column webhook.paused_until is 'until then nothing is sent to a receiver that fails';

create table delivery (
    delivery_id  bigint generated always as identity,
    webhook_id   text collate "C" not null,
    event        text not null,
    app          text collate "C" not null,
    user_id      text collate "C" not null,
    screen_name  text not null,
    reason       text not null,
    occurred_at  timestamptz not null,
    attempts     bigint not null default 0,
    attempted_at timestamptz,
    attempt_at   timestamptz,
    delivered_at timestamptz,
    status       bigint,
    failure      text,
    sealed_link  bytea,
    sealed_proof bytea,
    constraint delivery_pkey primary key (delivery_id)
);
create index delivery_waiting on delivery (webhook_id, delivery_id) where attempt_at is not null;
create index delivery_of_account on delivery (webhook_id, app, user_id, delivery_id)
    where attempt_at is not null;
create index delivery_of_webhook on delivery (webhook_id, delivery_id);
create index delivery_occurred_at on delivery (occurred_at);
create index delivery_given_up on delivery (webhook_id, delivery_id)
    where attempt_at is null and delivered_at is null;
comment on table delivery is
    'an event for a webhook; numbered in the order of an account''s events';
comment on column delivery.attempted_at is 'when it was first tried';
comment on column delivery.attempt_at is 'when it is tried next; null once it is delivered or given up';
comment on column delivery.status is 'of the receiver''s last answer';
comment on column delivery.sealed_link is 'the link to reconnect that was sent, and when it ends';
comment on column delivery.sealed_proof is
    'proves the event, for this webhook and under this number; nobody without the vault can make one';

create table author (
    post_id bigint not null,
    user_id text collate "C" not null,
    constraint author_pkey primary key (post_id),
    constraint author_user_id_digits check (user_id ~ '^[1-9][0-9]{0,18}$')
);
comment on table author is
    'who wrote which post, as answers of X have shown; true for every app; may be emptied';
comment on column author.user_id is 'the X user who wrote the post, whether connected or not';

create table session (
    session_hash bytea not null,
    key_id       text collate "C" not null,
    started_at   timestamptz not null,
    seen_at      timestamptz not null,
    sealed_proof bytea not null,
    constraint session_pkey primary key (session_hash)
);
create index session_of_key on session (key_id);
comment on table session is 'somebody who signed in to the console';
comment on column session.session_hash is 'of what the browser''s cookie holds';
comment on column session.key_id is 'the admin key that signed in';
comment on column session.seen_at is 'to the minute';
comment on column session.sealed_proof is 'proves the row; nobody without the vault can make one';

create table audit (
    audit_id    bigint generated always as identity,
    recorded_at timestamptz not null,
    actor       text not null,
    address     text not null default '',
    action      text not null,
    subject     text not null,
    detail      text not null,
    constraint audit_pkey primary key (audit_id)
);
create index audit_of_subject on audit (subject, audit_id);
create index audit_of_actor on audit (actor, recorded_at);
comment on table audit is 'who changed what';
comment on column audit.actor is 'cli, gateway, or key:<id> of an admin key';
comment on column audit.detail is 'in words, without secrets';
comment on column audit.address is 'where the request came from; empty for the command line and the gateway itself';

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
create index call_of_request on call (request_id, call_id);
comment on table call is 'recent calls; a sample where there are many';
comment on column call.request_id is 'the caller''s own, or one that was made up; shared by the calls of one question';
comment on column call.user_id is 'whose token signed; empty for app-only calls';
comment on column call.auth is 'empty where the call was refused before that was decided';
comment on column call.metrics is 'engagement types, with commas between';
comment on column call.status is 'what the caller received, or the upstream''s status for a part of a question; 0 for none';
comment on column call.code is 'the gateway''s own error; empty for an answer of the upstream';
comment on column call.bytes is 'of the answer''s body';

create table usage_hour (
    hour       bigint not null,
    app        text collate "C" not null,
    key_id     text collate "C" not null,
    user_id    text collate "C" not null,
    endpoint   text collate "C" not null,
    auth       text collate "C" not null,
    outcome    text collate "C" not null,
    label      text collate "C" not null default '',
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    saved      bigint not null default 0,
    constraint usage_hour_pkey primary key (hour, app, key_id, user_id, endpoint, auth, outcome, label)
);
comment on table usage_hour is 'calls on the upstream, added up by hour';
comment on column usage_hour.hour is 'counted from 1970';
comment on column usage_hour.user_id is 'whose token signed; empty for app-only calls';
comment on column usage_hour.outcome is 'the class of the upstream''s status; none where no answer came';
comment on column usage_hour.calls is 'requests that went out, second attempts too';
comment on column usage_hour.posts is 'posts that were asked about';
comment on column usage_hour.label is 'what the caller said the call was for; empty for now';
comment on column usage_hour.saved is 'calls that were not needed, since an answer could be shared; 0 for now';
comment on column usage_hour.bytes is 'of the answers'' bodies, as they came';

create table usage_day (
    day        bigint not null,
    app        text collate "C" not null,
    key_id     text collate "C" not null,
    user_id    text collate "C" not null,
    endpoint   text collate "C" not null,
    auth       text collate "C" not null,
    outcome    text collate "C" not null,
    label      text collate "C" not null default '',
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    saved      bigint not null default 0,
    constraint usage_day_pkey primary key (day, app, key_id, user_id, endpoint, auth, outcome, label)
);
create index usage_day_of_key on usage_day (key_id, day);
create index usage_day_of_account on usage_day (user_id, day);
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
    label      text collate "C" not null default '',
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    saved      bigint not null default 0,
    constraint usage_month_pkey primary key (month, app, key_id, user_id, endpoint, auth, outcome, label)
);
create index usage_month_of_key on usage_month (key_id, month);
create index usage_month_of_account on usage_month (user_id, month);
comment on table usage_month is 'the same by month';
comment on column usage_month.month is 'its first day, counted from 1970';

create table usage_day_by_aspect (
    aspect     text collate "C" not null,
    day        bigint not null,
    value      text collate "C" not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    saved      bigint not null default 0,
    constraint usage_day_by_aspect_pkey primary key (aspect, day, value)
);
comment on table usage_day_by_aspect is
    'sums by day for each value of one aspect, so that the largest are found without adding up everything';
comment on column usage_day_by_aspect.aspect is 'app, key, account, endpoint, auth or outcome';
comment on column usage_day_by_aspect.day is 'counted from 1970';
comment on column usage_day_by_aspect.value is 'as the aspect''s column in usage_day has it';

create table usage_month_by_aspect (
    aspect     text collate "C" not null,
    value      text collate "C" not null,
    month      bigint not null,
    calls      bigint not null,
    posts      bigint not null,
    bytes      bigint not null,
    saved      bigint not null default 0,
    constraint usage_month_by_aspect_pkey primary key (aspect, value, month)
);
comment on table usage_month_by_aspect is 'the same by month, in the order in which they are added up';
comment on column usage_month_by_aspect.month is 'its first day, counted from 1970';

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
    started_at timestamptz not null,
    written_at timestamptz not null,
    settled_at timestamptz,
    writes     bigint not null,
    lost_calls bigint not null,
    counted_calls bigint not null default 0,
    written_calls bigint not null default 0,
    constraint usage_writer_pkey primary key (writer_id)
);
comment on table usage_writer is 'a process that adds to usage_hour';
comment on column usage_writer.written_at is 'until then nothing is missing';
comment on column usage_writer.settled_at is 'when it had written everything; null while more may follow';
comment on column usage_writer.writes is 'how often it has written; a repeated write is recognised by it';
comment on column usage_writer.lost_calls is 'calls that it could not keep until they were written';
comment on column usage_writer.counted_calls is 'calls that it has counted, written or not';
comment on column usage_writer.written_calls is 'calls that are in the sums';

create table change_counter (
    is_only boolean not null default true,
    latest  bigint not null,
    constraint change_counter_pkey primary key (is_only),
    constraint change_counter_is_only check (is_only)
);
comment on table change_counter is
    'one row, whose lock puts writing transactions in the order of their changes';
insert into change_counter (latest) values (0);

create table change (
    change_id  bigint not null,
    kind       text not null,
    app        text collate "C",
    subject    text collate "C",
    changed_at timestamptz not null,
    constraint change_pkey primary key (change_id),
    constraint change_kind_known check (kind in ('account', 'key', 'bearer', 'author'))
);
comment on table change is
    'what caches must forget; numbered without gaps, old rows are pruned';
comment on column change.subject is 'a user id, a key id or a post id; null for a bearer';

-- Replicas' clocks may differ, so silence is measured by the database's alone.
create view clock as select floor(extract(epoch from clock_timestamp()))::bigint as seconds;
comment on view clock is 'the database''s own time, in seconds since 1970';

create table replica (
    replica_id   text collate "C" not null,
    host         text not null,
    version      text not null,
    started_at   timestamptz not null,
    heard_at     bigint not null,
    vault_keys   text not null,
    vault_active text not null,
    constraint replica_pkey primary key (replica_id)
);
comment on table replica is 'a gateway that serves; one that has been silent for too long is dead';
comment on column replica.heard_at is 'as clock has it';
comment on column replica.vault_keys is 'the ids of the vault keys on its ring, with spaces between';
comment on column replica.vault_active is 'the id of the vault key that it seals with';
