//! Countersign: a gateway that holds the credentials for X's enterprise Engagement API.
//!
//! An internal service sends its engagement request with a Countersign key; the gateway decides which credential the
//! request needs, signs and forwards it, and relays the answer. Nobody else ever sees a secret.
//!
//! # The map
//!
//! In reading order, from the values that everything uses to the program itself. Each module may import the modules
//! listed and no others; `tests/it/tidy/mod.rs` enforces that, and which module may use which outside crate.
//!
//! | module | what it is | may import |
//! |---|---|---|
//! | [`model`] | plain values: app, account, key, link, webhook, metric, secret, clock | - |
//! | [`oauth1`] | OAuth 1.0a: parameters in, `Authorization` header out | `model` |
//! | [`config`] | settings as data | `model` |
//! | [`telemetry`] | logs and metrics | `config` |
//! | [`vault`] | secrets at rest: seal, open, key ring | `config`, `model` |
//! | [`store`] | the only SQL, one text per query for both databases | `config`, `model` |
//! | [`admission`] | who may proceed, and with how much memory and quota: fair turns among keys | `model` |
//! | [`upstream`] | the gateway's only HTTP client: engagement calls, bearer minting, handshakes, account checks, look-ups, webhooks | `admission`, `config`, `model`, `oauth1` |
//! | [`gateway`] | the use cases; `forward` is the heart | `admission`, `config`, `model`, `store`, `upstream`, `vault` |
//! | [`wire`] | JSON types that the API, the command line and the tests share | `gateway`, `model` |
//! | [`web`] | what all HTTP handlers share: extractors, the presented key, negotiation, problems and their one status table, logging, the listener | `config`, `gateway`, `model`, `telemetry`, `wire` |
//! | [`api`] | JSON over HTTP, for services and operators, and its description | `gateway`, `model`, `web`, `wire` |
//! | [`pages`] | the pages that people see in a browser, each with its handlers and templates | `api`, `gateway`, `model`, `web`, `wire` |
//! | [`server`] | every route on one page; serving them | `api`, `config`, `gateway`, `model`, `pages`, `telemetry`, `web` |
//! | [`sandbox`] | the stand-in upstream: the same rules, invented numbers | `model` |
//! | [`client`] | the client of a running gateway, for callers | `config`, `model` |
//! | [`cli`] | the command line | `api`, `client`, `config`, `gateway`, `model`, `sandbox`, `server`, `store`, `telemetry`, `vault`, `wire` |
//!
//! The path of a call: in through [`server`], on through [`gateway::Gateway::forward`], out through
//! [`upstream::Upstream::engage`]. A question of any size goes through [`gateway::Gateway::answer_question`] and becomes
//! many such calls.
//!
//! The rules of the upstream are written down in `docs/engagement-api.md`; comments cite its sections as "reference 6.1".
//!
//! # Where to find it
//!
//! | question | file (item) |
//! |---|---|
//! | Where is a call signed? | `src/upstream/engage.rs` (`authorization`, once per attempt), with `src/oauth1/mod.rs` |
//! | X answers 401: who says whose fault it is? | `src/upstream/verdict.rs` (`Verdict::of`) |
//! | …: how is the account checked and marked? | `src/gateway/account/verify.rs` (`investigate`) |
//! | …: how is the bearer token renewed? | `src/gateway/call/make.rs` (`call_with_newer`), with `src/gateway/bearer.rs` (`renew_bearer`) |
//! | …: how are an app's faults reported? | `src/gateway/app/faults.rs` (`judge`); a refused time is first corrected by `src/upstream/skew.rs` (`correct`) |
//! | Why did a call fail, and what did X say? | `src/model/cause.rs` (`Cause`) has the words, `src/upstream/refusal.rs` (`cause`) and `src/gateway/call/trace.rs` (`cause`) choose one, `src/upstream/said.rs` (`said`) keeps what is known publicly |
//! | What needs attention? | `src/gateway/attention/mod.rs` (`list_attention`); how calls ended is counted in `src/model/tally.rs` and `src/store/tally.rs`; `src/store/attention.rs` (`notify_of`) notifies webhooks once |
//! | Where is a key's scope enforced: app and endpoint? | `src/gateway/call/forward.rs` (`granted_app`) |
//! | …: accounts? | `src/gateway/account/mod.rs` (`get_usable_account`) |
//! | …: what its holder may see of it? | `src/gateway/own.rs` (`list_own_accounts`, `get_own_usage`) |
//! | …: accounts and authors of a question? | `src/gateway/question/accounts.rs` (`allowed_accounts`, `named_accounts`), `src/gateway/question/authors.rs` (`visible_authors`) |
//! | …: rights? | `src/gateway/key/mod.rs` (`require`), which use cases call; for reconnect links, `src/gateway/account/links.rs` (`find_reconnect_link`) |
//! | Who may do what on the operators' listener? | `src/model/permission.rs` (`access`), one table, by which `src/api/operators/guard.rs` (`require_key`) and `src/pages/console/guard.rs` (`require_session`) let requests through; which area a route belongs to is in `src/server/mod.rs` |
//! | How is a new engagement type of X's (a metric name) added? | `CONTRIBUTING.md`, the last of its recipes |
//! | Which table holds a webhook's deliveries? | `migrations/postgres/0001_initial.sql` and `migrations/sqlite/0001_initial.sql` (`delivery`); `src/store/webhook/delivery.rs` sends from it, `src/store/webhook/delivery_log.rs` lists it |
//! | Why may the answer to a screen name be late? | `src/gateway/account/mod.rs` (`find_user`, `forget_accounts`): any change of any account empties the cache of names, so the next call queries the database |
//! | Why may it be stale? | `src/gateway/changes.rs` (`follow`): other replicas' changes arrive within a second. `src/store/account/import.rs` (`put`): a rename at X is learnt only when the user connects or is imported again, not by a check |
//! | Why may a new key's first call be late? | `src/store/key.rs` (`find_doubtful_key`): until its id is known here, it is looked up in strangers' share of the connections |
//! | PostgreSQL's answer to a commit is lost: what is the caller told? | `src/store/database/attempts.rs` (`find_outcome`), which also does again what was rolled back (`try_again`) |
//! | Which server is used if the database's URL names several? | `src/store/database/servers.rs` (`lend`, `find_writable`) |
//! | What differs behind PgBouncer? | `src/store/database/postgres.rs` (`Terms`, `keeps_statements`, `notifies`); a pooler that the settings do not name is noticed in `src/store/database/pooler.rs` (`look`) |
//! | Where does the sandbox decide a 403? | `src/sandbox/engagement/access.rs` (`refuse_foreign`, `allowed_metrics`), `src/sandbox/engagement/mod.rs` (`admit`: apps not allow-listed), `src/sandbox/auth/mod.rs` (`Denied`: suspended or locked users), `src/sandbox/lookup.rs` (`client_forbidden`) |
//! | How is `/metrics` guarded? | `src/api/operators/guard.rs` (`require_known_name`), by the names of `src/web/host_names.rs`; no key |
//! | What may a page ask, and which pages may read the answer? | `src/gateway/browser/page.rs` (`check_token`), `src/gateway/question/bounds/page.rs` (`read_question`), `src/web/cross_origin.rs` (`dress`) |
//! | Who gets X's quota, and when? | `src/admission/quota/lanes.rs` (`pop`) decides whose turn it is, `src/admission/quota/window.rs` (`wait_for`) when there is one, `src/admission/quota/shares.rs` (`divide`) how much each replica may use; `src/gateway/quota.rs` (`renew_leases`) writes that down |
//! | When are calls not even tried, since X does not answer? | `src/admission/breaker.rs` (`is_tripped`), which `src/gateway/call/make.rs` asks (`engage`) |
//! | Where are a key's own limits enforced? | `src/admission/key_limits.rs` (`begin`), which `src/gateway/question/admit.rs` calls (`begin_request`) |
//! | Who shares a call in flight, and who makes it? | `src/gateway/call/share.rs` (`make_or_join`, `board`), by `src/gateway/app/flights.rs` (`seat`) |
//! | What of a question is kept, and given again? | `src/gateway/question/kept/new.rs` (`New`) says what may be kept, `src/gateway/question/kept/mod.rs` (`find`) what is given, by what `src/gateway/question/kept/piece.rs` (`allows`, `tiles`) lets pass |
//! | Which posts are those of `posts_of`? | `src/gateway/question/listing.rs` (`list_posts`): X's lists, of which `src/upstream/post_list.rs` reads a page, or else what `src/store/author.rs` knows (`find_posts_of`) |
//! | What ends a question at its deadline? | `src/gateway/question/run.rs` (`run_until`); while it waits for its turn or memory, `src/gateway/question/admit.rs` (`timeout_at`); look-ups end at half of the time, in `src/gateway/question/lookup.rs` (`look_up_all`) |
//! | …: and waits for a slow database until then? | `src/gateway/patience.rs` (`read_patiently`) |
//! | Where is a secret wiped? | `src/model/secret.rs` (`Zeroizing`) |
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | app | a consumer key and secret registered with X, and the bearer token minted from them |
//! | account | an X user who has connected: user id, screen name, sealed access token, state |
//! | key | what a service or an admin presents: scoped, shown once, stored as a sealed hash |
//! | scope | what a caller's key is limited to: its app, accounts, endpoints and rights |
//! | token | what a page in a browser holds: short-lived, narrower than the key that made it, stored nowhere |
//! | link | the one-time address by which a user connects an account |
//! | handshake | a three-legged OAuth flow in flight, begun from a link |
//! | call | one request to the upstream, with the kind of credentials it used |
//! | question | one request of any size: planned, split into calls, and merged into one answer |
//! | cause | why a call failed, as far as somebody can act on it; also a name for what needs attention |
//! | tally | how many of an app's calls ended in one way in a minute |
//! | delivery | an event for one webhook: waiting, arrived or given up |
//! | replica | one of the processes that serve the same database; it has caches of its own and follows the change feed |
//! | budget | the *memory* budget of answers, in [`admission`], or the *retry* budget of calls, in [`upstream`] |
//! | pool | calls of an app that X counts against one quota; each takes a permit from it, in its key's turn |
//! | lease | the part of a quota, or of a key's limit, that a replica may use until it is renewed |
//! | quarantined | the state of an account whose stored token cannot be trusted, until it reconnects or the token opens again |
//! | ring | the vault's keys: one seals, every one opens |
//! | seal | what binds a sealed record to the place in the database that it belongs to |
//! | sandbox | the stand-in upstream: the same rules, invented numbers |
//!
//! # What never happens
//!
//! - [`model`] and [`oauth1`] do no I/O; they take time and nonce as arguments. Values in `model` cannot be serialised:
//!   wire shapes belong to [`wire`], [`upstream`], [`sandbox`] and [`config`].
//! - Nothing outside [`store`] knows SQL, nothing outside [`upstream`] knows the upstream's URLs, [`gateway`] knows no
//!   status codes of its own answers, [`server`] knows no tables.
//! - Only [`config`] reads the environment; only [`cli`] prints; only [`model::SystemClock`] reads the system's clock.
//! - A stored access token is opened only in [`gateway`], as a [`model::Secret`], and lent only to [`upstream`], which
//!   signs with it through [`oauth1`]. Once stored, it never crosses [`web`]; imports bring it in through [`api`].
//! - A call in steady state does not query the database, and holds no lock across an `await`.
//! - A call that failed with one kind of credentials is never retried with the other.

pub mod model;

pub mod oauth1;

pub mod config;

pub mod telemetry;

pub mod vault;

pub mod store;

pub mod admission;

pub mod upstream;

pub mod gateway;

pub mod wire;

pub mod web;

pub mod api;

pub mod pages;

pub mod server;

pub mod sandbox;

pub mod client;

pub mod cli;
