-- The first schema. Sealed columns hold ciphertext that only the vault opens.
-- Times are RFC 3339 text in UTC with whole seconds, so that they sort.

-- X users who connected to an app.
create table account (
    -- The app's name in the configuration.
    app                 text not null,
    -- The X user's number, as text since it may exceed a signed 64-bit integer.
    user_id             text not null,
    -- As X spells it, without the @; not unique, since names change hands.
    screen_name         text not null,
    state               text not null,
    -- When the state last became what it is.
    state_since         text not null,
    -- When the account first connected; a new token does not change it.
    connected_at        text not null,
    -- When a background check last asked X about it.
    checked_at          text,
    sealed_token        blob not null,
    sealed_token_secret blob not null,
    constraint account_pkey primary key (app, user_id),
    constraint account_user_id_digits check (
        user_id glob '[1-9]*' and user_id not glob '*[^0-9]*' and length(user_id) <= 19
    ),
    constraint account_state_known check (state in ('active', 'revoked', 'blocked', 'quarantined'))
) strict, without rowid;
create index account_screen_name on account (app, lower(screen_name));
create index account_checked_at on account ((coalesce(checked_at, connected_at)));
create index account_blocked on account ((coalesce(checked_at, connected_at)))
    where state = 'blocked';

-- What internal services and admins call with.
create table key (
    -- The public part of the key.
    key_id          text not null,
    -- A caller's key opens the callers' listener; owners and auditors are admins, and an auditor changes nothing.
    role            text not null,
    name            text not null,
    app             text,
    -- User ids that it may name, separated by spaces; null for all of the app's.
    accounts        text,
    -- Endpoints that it may call, separated by spaces; null for all.
    endpoints       text,
    -- What else it may do, such as create_links, separated by spaces.
    rights          text not null default '',
    expires_at      text,
    created_at      text not null,
    revoked_at      text,
    -- To the hour.
    last_used_at    text,
    -- Proves the key and everything that it may do; nobody without the vault can make one.
    sealed_verifier blob not null,
    constraint key_pkey primary key (key_id),
    constraint key_role_known check (role in ('caller', 'owner', 'auditor'))
) strict, without rowid;
create unique index key_name on key (lower(name)) where revoked_at is null;

-- App-only bearer tokens, shared by all processes.
create table bearer (
    app          text not null,
    -- Rises by one with each mint, so that of many processes one replaces it.
    generation   integer not null,
    sealed_token blob not null,
    minted_at    text not null,
    constraint bearer_pkey primary key (app),
    constraint bearer_generation_positive check (generation > 0)
) strict, without rowid;

-- One-time invitations to connect an account. What a browser or X brings back is kept as a hash alone.
create table link (
    -- SHA-256 of what stands in the link.
    link_hash        blob not null,
    app              text not null,
    -- What the admin calls it, for the audit log.
    label            text not null,
    -- The key that created it; null for admins, and for links that events carry.
    key_id           text,
    -- The only user who may connect by it; null for any.
    expected_user_id text,
    return_to        text,
    created_at       text not null,
    expires_at       text not null,
    -- Proves this row's terms; nobody without the vault can make one.
    sealed_proof     blob not null,
    -- SHA-256 of the cookie of the browser that began; null before.
    browser_hash     blob,
    -- Why the last try failed.
    last_failure     text,
    -- Who connected by it; a link that has one is used.
    user_id          text,
    screen_name      text,
    constraint link_pkey primary key (link_hash)
) strict, without rowid;
create index link_of_key on link (key_id, expires_at);

-- Three-legged flows in flight; removed by the callback, before the exchange.
create table handshake (
    -- SHA-256 of the request token.
    token_hash    blob not null,
    link_hash     blob not null,
    browser_hash  blob not null,
    -- The request token's secret.
    sealed_secret blob not null,
    expires_at    text not null,
    constraint handshake_pkey primary key (token_hash),
    constraint handshake_link_fkey foreign key (link_hash) references link on delete cascade
) strict, without rowid;
create index handshake_link on handshake (link_hash);

-- Where events are sent.
create table webhook (
    webhook_id        text not null,
    url               text not null,
    -- The app whose events it gets; null for all.
    app               text,
    created_at        text not null,
    -- Signs the events, and proves this row's URL and app; nobody without the vault can make one.
    sealed_secret     blob not null,
    -- The secret before, which signs too until old_secret_until.
    sealed_old_secret blob,
    old_secret_until  text,
    -- Until then one sender has the webhook to itself.
    leased_until      text not null,
    -- When it began to fail; null while it takes events.
    failing_since     text,
    -- Until then nothing is sent to a receiver that fails.
    paused_until      text,
    constraint webhook_pkey primary key (webhook_id)
) strict, without rowid;
create unique index webhook_url on webhook (url, coalesce(app, ''));

-- An event for a webhook; numbered in the order of an account's events.
create table delivery (
    delivery_id  integer primary key autoincrement,
    webhook_id   text not null,
    event        text not null,
    app          text not null,
    user_id      text not null,
    screen_name  text not null,
    reason       text not null,
    occurred_at  text not null,
    attempts     integer not null default 0,
    -- When it was first tried.
    attempted_at text,
    -- When it is tried next; null once it is delivered or given up.
    attempt_at   text,
    delivered_at text,
    -- Of the receiver's last answer.
    status       integer,
    failure      text,
    -- The link to reconnect that was sent, and when it ends.
    sealed_link  blob,
    -- Proves the event, for this webhook and under this number; nobody without the vault can make one.
    sealed_proof blob
) strict;
create index delivery_of_account on delivery (webhook_id, app, user_id, delivery_id)
    where attempt_at is not null;
create index delivery_of_webhook on delivery (webhook_id, delivery_id);
create index delivery_occurred_at on delivery (occurred_at);
-- Of indices that serve alike SQLite takes the one created last.
create index delivery_waiting on delivery (webhook_id, delivery_id) where attempt_at is not null;
create index delivery_given_up on delivery (webhook_id, delivery_id)
    where attempt_at is null and delivered_at is null;

-- Who wrote which post, as X's answers have shown; true for every app. May be emptied.
create table author (
    post_id integer primary key,
    -- The X user who wrote the post, whether connected or not.
    user_id text not null
) strict;

-- Somebody who signed in to the console.
create table session (
    -- Of what the browser's cookie holds.
    session_hash blob not null,
    -- The admin key that signed in.
    key_id       text not null,
    started_at   text not null,
    -- To the minute.
    seen_at      text not null,
    -- Proves the row; nobody without the vault can make one.
    sealed_proof blob not null,
    constraint session_pkey primary key (session_hash)
) strict, without rowid;
create index session_of_key on session (key_id);

-- Who changed what.
create table audit (
    audit_id    integer primary key autoincrement,
    recorded_at text not null,
    -- cli, gateway, or key:<id> of an admin key.
    actor       text not null,
    -- Where the request came from; empty for the command line and the gateway itself.
    address     text not null default '',
    action      text not null,
    subject     text not null,
    -- In words, without secrets.
    detail      text not null
) strict;
create index audit_of_subject on audit (subject, audit_id);
create index audit_of_actor on audit (actor, recorded_at);

-- Recent calls; a sample where there are many.
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
    -- What the caller received, or the upstream's status for a part of a question; 0 for none.
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
    -- What the caller said the call was for; empty for now.
    label      text not null default '',
    -- Requests that went out, second attempts too.
    calls      integer not null,
    -- Posts that were asked about.
    posts      integer not null,
    -- Of the answers' bodies, as they came.
    bytes      integer not null,
    -- Calls that were not needed, since an answer could be shared; 0 for now.
    saved      integer not null default 0,
    constraint usage_hour_pkey primary key (hour, app, key_id, user_id, endpoint, auth, outcome, label)
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
    label      text not null default '',
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    saved      integer not null default 0,
    constraint usage_day_pkey primary key (day, app, key_id, user_id, endpoint, auth, outcome, label)
) strict, without rowid;
create index usage_day_of_key on usage_day (key_id, day);
create index usage_day_of_account on usage_day (user_id, day);

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
    label      text not null default '',
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    saved      integer not null default 0,
    constraint usage_month_pkey primary key (month, app, key_id, user_id, endpoint, auth, outcome, label)
) strict, without rowid;
create index usage_month_of_key on usage_month (key_id, month);
create index usage_month_of_account on usage_month (user_id, month);

-- Sums by day for each value of one aspect, so that the largest are found without adding up everything.
create table usage_day_by_aspect (
    -- app, key, account, endpoint, auth or outcome.
    aspect     text not null,
    -- Counted from 1970.
    day        integer not null,
    -- As the aspect's column in usage_day has it.
    value      text not null,
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    saved      integer not null default 0,
    constraint usage_day_by_aspect_pkey primary key (aspect, day, value)
) strict, without rowid;

-- The same by month, in the order in which they are added up.
create table usage_month_by_aspect (
    aspect     text not null,
    value      text not null,
    -- Its first day, counted from 1970.
    month      integer not null,
    calls      integer not null,
    posts      integer not null,
    bytes      integer not null,
    saved      integer not null default 0,
    constraint usage_month_by_aspect_pkey primary key (aspect, value, month)
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
    started_at text not null,
    -- Until then nothing is missing.
    written_at text not null,
    -- When it had written everything; null while more may follow.
    settled_at text,
    -- How often it has written; a repeated write is recognised by it.
    writes     integer not null,
    -- Calls that it could not keep until they were written.
    lost_calls integer not null,
    -- Calls that it has counted, written or not.
    counted_calls integer not null default 0,
    -- Calls that are in the sums.
    written_calls integer not null default 0,
    constraint usage_writer_pkey primary key (writer_id)
) strict, without rowid;

-- One row, whose number every writing transaction raises.
create table change_counter (
    is_only integer not null default 1,
    latest  integer not null,
    constraint change_counter_pkey primary key (is_only),
    constraint change_counter_is_only check (is_only = 1)
) strict, without rowid;
insert into change_counter (latest) values (0);

-- What caches must forget; numbered without gaps, old rows are pruned.
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

-- The database's own time, in seconds since 1970. Replicas' clocks may differ, so silence is measured by this alone.
create view clock as select unixepoch() as seconds;

-- A gateway that serves; one that has been silent for too long is dead.
create table replica (
    replica_id   text not null,
    host         text not null,
    version      text not null,
    started_at   text not null,
    -- As clock has it.
    heard_at     integer not null,
    -- The ids of the vault keys on its ring, with spaces between.
    vault_keys   text not null,
    -- The id of the vault key that it seals with.
    vault_active text not null,
    constraint replica_pkey primary key (replica_id)
) strict, without rowid;
