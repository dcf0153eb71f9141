//! Which key becomes which field, and what must hold between them.

use std::collections::BTreeMap;

use crate::config::form;
use crate::config::hosts::HOSTS;
use crate::config::layer::{Setting, app_field};
use crate::config::proxies::proxies;
use crate::config::reader::Reader;
use crate::config::{
    Admin, Config, Connect, Database, Limits, Log, Problem, Server, Upstream, Webhooks, vault,
};
use crate::model::app::{self, AccountLimit};
use crate::model::{App, AppOnly, Secret};

/// The whole configuration; settings that cannot be read are added to the reader's problems.
pub fn config(it: &mut Reader<'_>) -> Config {
    Config {
        server: Server {
            listen: it.get("server.listen", &form::ADDRESS),
            trusted_proxies: proxies(it, "server.trusted_proxies"),
            workers: it.get("server.workers", &form::WORKERS),
        },
        admin: admin(it),
        database: database(it),
        upstream: upstream(it),
        connect: Connect {
            public_url: it.get("server.public_url", &form::PUBLIC_URL),
            return_to: it.get("connect.return_to", &form::RETURN_TO),
            check_every: it.get("connect.check_every", &form::DURATION_OR_ZERO),
        },
        webhooks: Webhooks {
            allow_http: it.get("webhooks.allow_http", &form::FLAG),
            receivers: it.get("webhooks.receivers", &HOSTS),
        },
        apps: apps(it),
        vault: vault::ring(it),
        limits: limits(it),
        log: Log {
            format: it.get("log.format", &form::LOG_FORMAT),
            level: it.get("log.level", &form::LOG_LEVEL),
        },
        files: Vec::new(),
        warnings: Vec::new(),
    }
}

fn admin(it: &mut Reader<'_>) -> Admin {
    let listen = it.get("admin.listen", &form::ADDRESS);
    let callers = it.setting("server.listen").and_then(|it| it.text.expose().parse().ok());
    // Port 0 requests any free port, so two such addresses differ.
    if callers == Some(listen) && listen.port() != 0 {
        it.refuse("admin.listen", "expected another address than server.listen");
    }
    Admin {
        listen,
        trusted_proxies: proxies(it, "admin.trusted_proxies"),
        public_url: it.get("admin.public_url", &form::PUBLIC_URL),
        hosts: it.get("admin.hosts", &HOSTS),
    }
}

fn database(it: &mut Reader<'_>) -> Database {
    Database {
        url: it.get("database.url", &form::DATABASE_URL),
        connections: it.get("database.connections", &form::DATABASE_CONNECTIONS),
        call_wait: it.get("database.call_wait", &form::DURATION),
        wait: it.get("database.wait", &form::DURATION),
        statement_timeout: it.get("database.statement_timeout", &form::DURATION),
        connection_life: it.get("database.connection_life", &form::DURATION),
        stale: it.get("database.stale", &form::DURATION_OR_ZERO),
        poll: it.get("database.poll", &form::DURATION),
        migrate: it.get("database.migrate", &form::FLAG),
    }
}

fn upstream(it: &mut Reader<'_>) -> Upstream {
    let allow_http = it.get("upstream.allow_http", &form::FLAG);
    let url = if allow_http { &form::ANY_URL } else { &form::HTTPS_URL };
    Upstream {
        data_url: it.get("upstream.data_url", url),
        api_url: it.get("upstream.api_url", url),
        allow_http,
    }
}

fn limits(it: &mut Reader<'_>) -> Limits {
    let limits = Limits {
        connections: it.get("limits.connections", &form::COUNT),
        header_timeout: it.get("limits.header_timeout", &form::DURATION),
        header_bytes: it.get("limits.header_bytes", &form::HEADER_BYTES),
        headers: it.get("limits.headers", &form::COUNT),
        body_bytes: it.get("limits.body_bytes", &form::COUNT),
        body_idle: it.get("limits.body_idle", &form::DURATION),
        write_idle: it.get("limits.write_idle", &form::DURATION),
        keep_alive: it.get("limits.keep_alive", &form::DURATION),
        request_deadline: it.get("limits.request_deadline", &form::DURATION),
        drain_notice: it.get("limits.drain_notice", &form::DURATION_OR_ZERO),
        drain: it.get("limits.drain", &form::DURATION),
        upstream_connect: it.get("limits.upstream_connect", &form::DURATION),
        upstream_first_byte: it.get("limits.upstream_first_byte", &form::DURATION),
        upstream_total: it.get("limits.upstream_total", &form::DURATION),
        upstream_idle: it.get("limits.upstream_idle", &form::DURATION),
        upstream_connection_age: it.get("limits.upstream_connection_age", &form::DURATION),
        upstream_compressed_bytes: it.get("limits.upstream_compressed_bytes", &form::COUNT),
        upstream_body_bytes: it.get("limits.upstream_body_bytes", &form::COUNT),
        upstream_ratio: it.get("limits.upstream_ratio", &form::COUNT),
        retry_share: it.get("limits.retry_share", &form::SHARE),
        retry_floor: it.get("limits.retry_floor", &form::RATE),
        cached_keys: it.get("limits.cached_keys", &form::CACHE_SIZE),
        cached_accounts: it.get("limits.cached_accounts", &form::CACHE_SIZE),
        warm_up: it.get("limits.warm_up", &form::DURATION_OR_ZERO),
        negative_cache: it.get("limits.negative_cache", &form::DURATION),
        answer_memory: it.get("limits.answer_memory", &form::ANSWER_MEMORY),
        read_rate: it.get("limits.read_rate", &form::COUNT),
        key_links: it.get("limits.key_links", &form::KEY_LINKS),
        question_posts: it.get("limits.question_posts", &form::QUESTION_POSTS),
        question_days: it.get("limits.question_days", &form::QUESTION_DAYS),
        question_numbers: it.get("limits.question_numbers", &form::QUESTION_NUMBERS),
        question_calls: it.get("limits.question_calls", &form::QUESTION_CALLS),
        key_questions: it.get("limits.key_questions", &form::QUESTION_CALLS),
    };
    let read = !it.is_wrong("limits.upstream_total") && !it.is_wrong("limits.upstream_first_byte");
    if read && limits.upstream_total < limits.upstream_first_byte {
        it.refuse("limits.upstream_total", "expected at least limits.upstream_first_byte");
    }
    limits
}

fn apps(it: &mut Reader<'_>) -> BTreeMap<String, App> {
    let of_app = |(key, setting): (&String, &Setting)| {
        let (name, _) = app_field(key)?;
        Some((name.to_owned(), setting.origin.clone()))
    };
    let origins: BTreeMap<String, String> = it.settings.iter().filter_map(of_app).collect();
    let apps = origins.iter().map(|(name, origin)| (name.clone(), one_app(it, name, origin)));
    apps.collect()
}

/// An app; `origin` is where one of its settings was made, for reporting those that are missing.
fn one_app(it: &mut Reader<'_>, name: &str, origin: &str) -> App {
    let key = |field: &str| format!("apps.{name}.{field}");
    if !app::is_name(name) {
        let detail = "expected a name of 1 to 40 of a-z, 0-9, - and _, a letter first";
        it.problems.push(problem(format!("apps.{name}"), origin, detail));
    }
    let app_only = it.find(&key("app_only"), &form::APP_ONLY).unwrap_or(AppOnly::Bearer);
    let lookup = it.find(&key("lookup"), &form::FLAG).unwrap_or(false);
    if lookup && app_only == AppOnly::TwoLegged {
        let detail = "expected false: look-ups take a bearer token, and app_only is \"two_legged\"";
        it.refuse(&key("lookup"), detail);
    }
    let most = it.find(&key("account_limit"), &form::ACCOUNT_LIMIT);
    let over = it.find(&key("over_limit"), &form::OVER_LIMIT);
    if over.is_some() && it.setting(&key("account_limit")).is_none() {
        it.refuse(&key("over_limit"), "expected account_limit beside it, which says how many");
    }
    App {
        name: name.to_owned(),
        consumer_key: required(it, key("consumer_key"), origin).expose().to_owned(),
        consumer_secret: required(it, key("consumer_secret"), origin),
        bearer_token: it.find(&key("bearer_token"), &form::CREDENTIAL),
        app_only,
        lookup,
        account_limit: most.map(|most| AccountLimit { most, refuses: over.unwrap_or(false) }),
    }
}

/// A credential that every app needs.
fn required(it: &mut Reader<'_>, key: String, origin: &str) -> Secret {
    let value = it.find(&key, &form::CREDENTIAL);
    if it.setting(&key).is_none() {
        let detail = "missing; an app needs both consumer_key and consumer_secret";
        it.problems.push(problem(key, origin, detail));
    }
    value.unwrap_or_else(|| "".into())
}

fn problem(key: String, origin: &str, detail: &str) -> Problem {
    Problem { key, origin: origin.to_owned(), detail: detail.to_owned() }
}
