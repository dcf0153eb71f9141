//! Settings as data: what `config/default.toml` documents, in its final types. Each module receives its own section.
//!
//! Text becomes layers (`layer`, `variables`), a layer's values are read by key (`reader`) in their forms (`form`), and
//! `section` maps keys to fields. `load` ties it together. A client of a gateway needs only two settings: `client`.

mod client;
mod files;
mod form;
mod hosts;
mod layer;
mod load;
mod names;
mod problem;
mod proxies;
mod reader;
mod section;
mod variables;
mod vault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{App, Secret};

pub use crate::config::client::parse_client;
pub use crate::config::form::{is_key_id, parse_address};
pub use crate::config::hosts::{HOSTS, Hosts};
pub use crate::config::load::{describe, load, load_client, load_log, parse};
pub use crate::config::problem::{Errors, Problem};
pub use crate::config::proxies::Proxies;

/// All settings, checked.
pub struct Config {
    pub server: Server,
    pub admin: Admin,
    pub database: Database,
    pub upstream: Upstream,
    pub connect: Connect,
    pub webhooks: Webhooks,
    pub apps: BTreeMap<String, App>,
    pub vault: Vault,
    pub cache: Cache,
    pub browser: Browser,
    pub limits: Limits,
    pub log: Log,
    /// The files that the settings were read from.
    pub files: Vec<PathBuf>,
    /// Warnings about file modes that should be fixed.
    pub warnings: Vec<String>,
}

/// The callers' listener.
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    pub trusted_proxies: Proxies,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
}

/// The operators' listener.
#[derive(Clone, Debug)]
pub struct Admin {
    pub listen: SocketAddr,
    pub trusted_proxies: Proxies,
    /// Scheme and authority under which browsers reach this listener; without it the console is for loopback alone.
    pub public_url: Option<String>,
    /// Names under which `/metrics` and `/admin` are served, besides those that nobody outside can have.
    pub hosts: Hosts,
}

/// Where data lives. The URL may hold a password, hence no `Debug`.
#[derive(Clone)]
pub struct Database {
    /// `sqlite://path` or `postgres://…`.
    pub url: Secret,
    pub pooler: Pooler,
    pub connections: u32,
    /// The longest wait for a connection on a request's path.
    pub call_wait: Duration,
    /// The longest wait for a connection elsewhere.
    pub wait: Duration,
    pub statement_timeout: Duration,
    pub connection_life: Duration,
    /// How long cached entries are still used while the database is unavailable.
    pub stale: Duration,
    /// How often to poll for changes made elsewhere.
    pub poll: Duration,
    /// Whether `serve` brings the schema up to date.
    pub migrate: bool,
}

/// What stands between the gateway and PostgreSQL, and for how long it lends a connection to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pooler {
    None,
    Session,
    Transaction,
}

/// The Engagement API and how to reach it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme and authority of the engagement endpoints, without a trailing slash.
    pub data_url: String,
    /// Scheme and authority of token and account endpoints, without a trailing slash.
    pub api_url: String,
    /// Whether plain `http` is allowed, for the sandbox and for tests.
    pub allow_http: bool,
}

/// Connecting accounts, and keeping them connected.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Scheme and authority under which browsers reach the callers' listener; without it there are no links.
    pub public_url: Option<String>,
    /// URLs that a browser may be sent to once an account is connected, matched exactly.
    pub return_to: Vec<String>,
    /// How often each account is checked with X in the background; zero means never.
    pub check_every: Duration,
}

/// Notifying services of account events.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Whether receivers may be called over plain `http`.
    pub allow_http: bool,
    /// The only machines that events may be sent to; an empty list allows any.
    pub receivers: Hosts,
}

/// The key ring that seals what is stored.
#[derive(Clone)]
pub struct Vault {
    /// Each key's id and its 32 bytes in base64.
    pub keys: Vec<(String, Secret)>,
    /// The id of the key that seals; every key opens.
    pub active: String,
}

/// Tokens for pages in browsers.
#[derive(Clone, Debug)]
pub struct Browser {
    /// How long a token is still good after its end.
    pub leeway: Duration,
    /// Questions of a minute with one token, unless its maker has said otherwise.
    pub per_minute: u32,
    /// Questions of a minute from one address, with any tokens.
    pub address_per_minute: u32,
    /// The most of an app's quota that pages take while services call too, from 0 to 1.
    pub share: f64,
}

/// Keeping answers of questions.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The oldest number that is given again while it may still change; zero means that nothing is kept.
    pub fresh: Duration,
    /// How long after its end a range no longer changes; zero means never.
    pub closed_after: Duration,
    /// The memory for kept answers.
    pub bytes: usize,
}

/// Limits on sizes, counts and times.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    pub header_timeout: Duration,
    pub header_bytes: usize,
    pub headers: usize,
    pub body_bytes: usize,
    pub body_idle: Duration,
    pub write_idle: Duration,
    pub keep_alive: Duration,
    pub request_deadline: Duration,
    /// How long a stopping gateway still accepts, answering `Connection: close`.
    pub drain_notice: Duration,
    /// How long a stopping gateway then waits for calls in flight.
    pub drain: Duration,
    pub upstream_connect: Duration,
    pub upstream_first_byte: Duration,
    pub upstream_total: Duration,
    pub upstream_idle: Duration,
    pub upstream_connection_age: Duration,
    pub upstream_compressed_bytes: usize,
    pub upstream_body_bytes: usize,
    /// The largest factor by which an answer may grow when decompressed.
    pub upstream_ratio: usize,
    /// Retries allowed, as a share of calls.
    pub retry_share: f64,
    /// Retries allowed per second, whatever the share.
    pub retry_floor: f64,
    pub cached_keys: u64,
    pub cached_accounts: u64,
    /// The longest that startup may read recently used keys and accounts; zero means not at all.
    pub warm_up: Duration,
    /// How long an unknown key or account is remembered as unknown.
    pub negative_cache: Duration,
    /// Bytes for the answers of all callers together: while they are read, merged and sent.
    pub answer_memory: usize,
    /// The lowest rate at which a caller may read its answer, in bytes per second.
    pub read_rate: usize,
    /// Pending links that one key may have created.
    pub key_links: u32,
    /// Posts that one question may name.
    pub question_posts: usize,
    /// Days that one question may span.
    pub question_days: u16,
    /// Numbers that one answer may hold before it is sent.
    pub question_numbers: u64,
    /// Calls for questions that run concurrently, per app.
    pub question_calls: usize,
    /// Questions of one key that are answered concurrently.
    pub key_questions: usize,
    /// The longest that a relayed call waits for X's quota.
    pub quota_wait: Duration,
}

/// Whether there must be a key in the vault's ring. Not every command seals or opens something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ring {
    Needed,
    NotNeeded,
}

/// A running gateway, as its clients reach it.
pub struct Client {
    /// Scheme and authority, without a trailing slash.
    pub url: String,
    pub key: Secret,
}

/// How logs are written.
#[derive(Clone, Debug)]
pub struct Log {
    pub format: LogFormat,
    /// For this program's own lines; those of libraries never go below `info`.
    pub level: LogLevel,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
