//! Which key becomes which field, and what must hold between them.

use std::collections::BTreeMap;

use crate::config::form;
use crate::config::hosts::HOSTS;
use crate::config::layer::Setting;
use crate::config::names::app_field;
use crate::config::proxies::proxies;
use crate::config::reader::Reader;
use crate::config::{
    Admin, Browser, Cache, Config, Connect, Database, Limits, Log, Problem, Server, Upstream,
    Webhooks, vault,
};
use crate::model::app::{self, AccountLimit};
use crate::model::quota::Quota;
use crate::model::{App, AppOnly, Secret};

/// The whole configuration; settings that cannot be read are added to the reader's problems.
pub fn config(reader: &mut Reader<'_>) -> Config {
    let server = Server {
        listen: reader.get("server.listen", &form::ADDRESS),
        trusted_proxies: proxies(reader, "server.trusted_proxies"),
        workers: reader.get("server.workers", &form::WORKERS),
    };
    Config {
        admin: admin(reader, &server),
        server,
        database: database(reader),
        upstream: upstream(reader),
        connect: Connect {
            public_url: reader.get("server.public_url", &form::PUBLIC_URL),
            return_to: reader.get("connect.return_to", &form::RETURN_TO),
            check_every: reader.get("connect.check_every", &form::DURATION_OR_ZERO),
        },
        webhooks: Webhooks {
            allow_http: reader.get("webhooks.allow_http", &form::FLAG),
            receivers: reader.get("webhooks.receivers", &HOSTS),
        },
        apps: apps(reader),
        vault: vault::ring(reader),
        cache: Cache {
            fresh: reader.get("cache.fresh", &form::DURATION_OR_ZERO),
            closed_after: reader.get("cache.closed_after", &form::DURATION_OR_ZERO),
            bytes: reader.get("cache.bytes", &form::COUNT),
        },
        limits: limits(reader),
        browser: Browser {
            leeway: reader.get("browser.leeway", &form::LEEWAY),
            per_minute: reader.get("browser.per_minute", &form::KEY_LINKS),
            address_per_minute: reader.get("browser.address_per_minute", &form::KEY_LINKS),
            share: reader.get("browser.share", &form::SHARE),
        },
        log: log(reader),
        files: Vec::new(),
        warnings: Vec::new(),
    }
}

pub fn log(reader: &mut Reader<'_>) -> Log {
    Log {
        format: reader.get("log.format", &form::LOG_FORMAT),
        level: reader.get("log.level", &form::LOG_LEVEL),
    }
}

fn admin(reader: &mut Reader<'_>, callers: &Server) -> Admin {
    let listen = reader.get("admin.listen", &form::ADDRESS);
    let is_taken = callers.listen == listen && !reader.is_wrong("server.listen");
    // Port 0 requests any free port, so two such addresses differ.
    if is_taken && listen.port() != 0 {
        reader.refuse("admin.listen", "expected a different address than server.listen");
    }
    Admin {
        listen,
        trusted_proxies: proxies(reader, "admin.trusted_proxies"),
        public_url: reader.get("admin.public_url", &form::PUBLIC_URL),
        hosts: reader.get("admin.hosts", &HOSTS),
    }
}

fn database(reader: &mut Reader<'_>) -> Database {
    Database {
        url: reader.get("database.url", &form::DATABASE_URL),
        pooler: reader.get("database.pooler", &form::POOLER),
        connections: reader.get("database.connections", &form::DATABASE_CONNECTIONS),
        call_wait: reader.get("database.call_wait", &form::DURATION),
        wait: reader.get("database.wait", &form::DURATION),
        statement_timeout: reader.get("database.statement_timeout", &form::DURATION),
        connection_life: reader.get("database.connection_life", &form::DURATION),
        stale: reader.get("database.stale", &form::DURATION_OR_ZERO),
        poll: reader.get("database.poll", &form::DURATION),
        migrate: reader.get("database.migrate", &form::FLAG),
    }
}

fn upstream(reader: &mut Reader<'_>) -> Upstream {
    let allow_http = reader.get("upstream.allow_http", &form::FLAG);
    let url = if allow_http { &form::ANY_URL } else { &form::HTTPS_URL };
    Upstream {
        data_url: reader.get("upstream.data_url", url),
        api_url: reader.get("upstream.api_url", url),
        allow_http,
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let limits = Limits {
        connections: reader.get("limits.connections", &form::COUNT),
        header_timeout: reader.get("limits.header_timeout", &form::DURATION),
        header_bytes: reader.get("limits.header_bytes", &form::HEADER_BYTES),
        headers: reader.get("limits.headers", &form::COUNT),
        body_bytes: reader.get("limits.body_bytes", &form::COUNT),
        body_idle: reader.get("limits.body_idle", &form::DURATION),
        write_idle: reader.get("limits.write_idle", &form::DURATION),
        keep_alive: reader.get("limits.keep_alive", &form::DURATION),
        request_deadline: reader.get("limits.request_deadline", &form::DURATION),
        drain_notice: reader.get("limits.drain_notice", &form::DURATION_OR_ZERO),
        drain: reader.get("limits.drain", &form::DURATION),
        upstream_connect: reader.get("limits.upstream_connect", &form::DURATION),
        upstream_first_byte: reader.get("limits.upstream_first_byte", &form::DURATION),
        upstream_total: reader.get("limits.upstream_total", &form::DURATION),
        upstream_idle: reader.get("limits.upstream_idle", &form::DURATION),
        upstream_connection_age: reader.get("limits.upstream_connection_age", &form::DURATION),
        upstream_compressed_bytes: reader.get("limits.upstream_compressed_bytes", &form::COUNT),
        upstream_body_bytes: reader.get("limits.upstream_body_bytes", &form::COUNT),
        upstream_ratio: reader.get("limits.upstream_ratio", &form::COUNT),
        retry_share: reader.get("limits.retry_share", &form::SHARE),
        retry_floor: reader.get("limits.retry_floor", &form::RATE),
        cached_keys: reader.get("limits.cached_keys", &form::CACHE_SIZE),
        cached_accounts: reader.get("limits.cached_accounts", &form::CACHE_SIZE),
        warm_up: reader.get("limits.warm_up", &form::DURATION_OR_ZERO),
        negative_cache: reader.get("limits.negative_cache", &form::DURATION),
        answer_memory: reader.get("limits.answer_memory", &form::ANSWER_MEMORY),
        read_rate: reader.get("limits.read_rate", &form::COUNT),
        key_links: reader.get("limits.key_links", &form::KEY_LINKS),
        question_posts: reader.get("limits.question_posts", &form::QUESTION_POSTS),
        question_days: reader.get("limits.question_days", &form::QUESTION_DAYS),
        question_numbers: reader.get("limits.question_numbers", &form::QUESTION_NUMBERS),
        question_calls: reader.get("limits.question_calls", &form::QUESTION_CALLS),
        key_questions: reader.get("limits.key_questions", &form::QUESTION_CALLS),
        quota_wait: reader.get("limits.quota_wait", &form::DURATION_OR_ZERO),
    };
    let read =
        !reader.is_wrong("limits.upstream_total") && !reader.is_wrong("limits.upstream_first_byte");
    if read && limits.upstream_total < limits.upstream_first_byte {
        reader.refuse("limits.upstream_total", "expected at least limits.upstream_first_byte");
    }
    limits
}

fn apps(reader: &mut Reader<'_>) -> BTreeMap<String, App> {
    let of_app = |(key, setting): (&String, &Setting)| {
        let (name, _) = app_field(key)?;
        Some((name.to_owned(), setting.origin.clone()))
    };
    let origins: BTreeMap<String, String> = reader.settings.iter().filter_map(of_app).collect();
    let apps = origins.iter().map(|(name, origin)| (name.clone(), one_app(reader, name, origin)));
    apps.collect()
}

/// An app; `origin` is where one of its settings was made, for reporting those that are missing.
fn one_app(reader: &mut Reader<'_>, name: &str, origin: &str) -> App {
    let key = |field: &str| format!("apps.{name}.{field}");
    if !app::is_name(name) {
        let detail =
            "expected a name of 1 to 40 characters (a-z, 0-9, - and _) that starts with a letter";
        reader.problems.push(problem(format!("apps.{name}"), origin, detail));
    }
    let app_only = reader.find(&key("app_only"), &form::APP_ONLY).unwrap_or(AppOnly::Bearer);
    let lookup = reader.find(&key("lookup"), &form::FLAG).unwrap_or(false);
    if lookup && app_only == AppOnly::TwoLegged {
        let detail = "expected false: look-ups need a bearer token, but app_only is \"two_legged\"";
        reader.refuse(&key("lookup"), detail);
    }
    let most = reader.find(&key("account_limit"), &form::ACCOUNT_LIMIT);
    let over = reader.find(&key("over_limit"), &form::OVER_LIMIT);
    if over.is_some() && reader.setting(&key("account_limit")).is_none() {
        reader.refuse(&key("over_limit"), "expected account_limit to be set, too");
    }
    App {
        name: name.to_owned(),
        consumer_key: required(reader, key("consumer_key"), origin).expose().to_owned(),
        consumer_secret: required(reader, key("consumer_secret"), origin),
        bearer_token: reader.find(&key("bearer_token"), &form::CREDENTIAL),
        app_only,
        lookup,
        account_limit: most.map(|most| AccountLimit { most, refuses: over.unwrap_or(false) }),
        quota: Quota {
            scope: reader.find(&key("quota.scope"), &form::QUOTA_SCOPE).unwrap_or_default(),
            mode: reader.find(&key("quota.mode"), &form::QUOTA_MODE).unwrap_or_default(),
            per_minute: reader.find(&key("quota.per_minute"), &form::CALLS),
            per_second: reader.find(&key("quota.per_second"), &form::CALLS),
        },
    }
}

/// A credential that every app needs.
fn required(reader: &mut Reader<'_>, key: String, origin: &str) -> Secret {
    let value = reader.find(&key, &form::CREDENTIAL);
    if reader.setting(&key).is_none() {
        let detail = "missing; an app needs both consumer_key and consumer_secret";
        reader.problems.push(problem(key, origin, detail));
    }
    value.unwrap_or_else(|| "".into())
}

fn problem(key: String, origin: &str, detail: &str) -> Problem {
    Problem { key, origin: origin.to_owned(), detail: detail.to_owned() }
}
