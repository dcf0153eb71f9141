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
//! | [`admission`] | who may proceed, and with how much memory: fair turns among keys | - |
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
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | app | a consumer key and secret registered with X, and the bearer token minted from them |
//! | account | an X user who has connected: user id, screen name, sealed access token, state |
//! | key | what a service or an admin presents: scoped, shown once, stored as a sealed hash |
//! | link | the one-time address by which a user connects an account |
//! | handshake | a three-legged OAuth flow in flight, begun from a link |
//! | call | one request to the upstream, with the kind of credentials it used |
//! | question | one request of any size: planned, split into calls, and merged into one answer |
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
