//! Settings as data: what `config/default.toml` documents, in its final types. Each module receives its own section.
//!
//! Text becomes layers (`layer`), a layer's values are read by key (`reader`) in their forms (`form`), and `section`
//! says which key becomes which field. `load` ties it together. What asks a gateway needs two settings alone: `client`.

mod client;
mod files;
mod form;
mod hosts;
mod layer;
mod load;
mod problem;
mod proxies;
mod reader;
mod section;
mod vault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{App, Secret};

pub use crate::config::client::parse_client;
pub use crate::config::form::is_key_id;
pub use crate::config::hosts::{HOSTS, Hosts};
pub use crate::config::load::{describe, load, load_client, parse};
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
    pub limits: Limits,
    pub log: Log,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// Modes of these that should be fixed.
    pub warnings: Vec<String>,
}

/// The callers' listener.
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    pub trusted_proxies: Proxies,
    /// Threads that serve; 0 for one a core.
    pub workers: usize,
}

/// The operators' listener.
#[derive(Clone, Debug)]
pub struct Admin {
    pub listen: SocketAddr,
    pub trusted_proxies: Proxies,
    /// Scheme and authority under which browsers reach this listener; without it the console is for loopback alone.
    pub public_url: Option<String>,
    /// Names under which `/metrics` and `/admin` are served, beside those that nobody outside can have.
    pub hosts: Hosts,
}

/// Where data lives. The URL may hold a password, hence no `Debug`.
#[derive(Clone)]
pub struct Database {
    /// `sqlite://path` or `postgres://…`.
    pub url: Secret,
    pub connections: u32,
    /// The longest wait for a connection on a request's path.
    pub call_wait: Duration,
    /// The longest wait for a connection elsewhere.
    pub wait: Duration,
    pub statement_timeout: Duration,
    pub connection_life: Duration,
    /// How long what is cached is still used while the database is away.
    pub stale: Duration,
    /// How often changes made elsewhere are asked for.
    pub poll: Duration,
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
    /// Where a browser may go on to once an account is connected, letter for letter.
    pub return_to: Vec<String>,
    /// How often X is asked about each account in the background; zero for never.
    pub check_every: Duration,
}

/// Telling services what becomes of accounts.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Whether receivers may be called over plain `http`.
    pub allow_http: bool,
    /// The only machines that events may be sent to; any, where none is listed.
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

/// How much and how long.
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
    /// Second attempts allowed, as a share of calls.
    pub retry_share: f64,
    /// Second attempts allowed a second, whatever the share.
    pub retry_floor: f64,
    pub cached_keys: u64,
    pub cached_accounts: u64,
    /// The longest that a start reads recently used keys and accounts; zero for not at all.
    pub warm_up: Duration,
    /// How long an unknown key or account is remembered as unknown.
    pub unknown_for: Duration,
    /// Bytes for the answers of all callers together: while they are read, merged and sent.
    pub answer_memory: usize,
    /// The least rate at which a caller must read its answer, in bytes a second.
    pub read_rate: usize,
    /// Links made by one key that wait to be used.
    pub key_links: u32,
    /// Posts that one question may name.
    pub question_posts: usize,
    /// Days that one question may span.
    pub question_days: u16,
    /// Numbers that one answer may hold before it is sent.
    pub question_numbers: u64,
    /// Calls of questions that run side by side, for each app.
    pub question_calls: usize,
    /// Questions of one key that are answered at the same time.
    pub key_questions: usize,
}

/// Whether there must be a key in the vault's ring. Not every command seals or opens something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ring {
    Needed,
    NotNeeded,
}

/// A running gateway, as those reach it who ask it.
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
