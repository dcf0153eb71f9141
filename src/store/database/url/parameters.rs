//! What a PostgreSQL URL's parameters mean: what they mean to libpq, or else an error that names the parameter.

use std::collections::BTreeMap;
use std::time::Duration;

use form_urlencoded::Serializer;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::database::url::{Parts, unreadable};
use crate::store::error::Error;

/// Where a URL leads.
pub(in crate::store::database) struct Target {
    /// In the URL's order; at least one.
    pub(in crate::store::database) servers: Vec<PgConnectOptions>,
    /// The longest time that connecting to one of several servers may take.
    pub(in crate::store::database) connect_timeout: Option<Duration>,
}

/// Parameters that take effect.
const TAKEN: [&str; 15] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Other spellings of some of these.
const ALIASES: [(&str, &str); 5] = [
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
];

/// Parameters that ask, with one of these values, for what is done anyway. An empty value is libpq's default.
const GRANTED: [(&str, &[&str]); 15] = [
    ("channel_binding", &["disable", "prefer"]),
    ("client_encoding", &["UTF8", "UTF-8", "auto"]),
    ("gssencmode", &["disable", "prefer"]),
    ("load_balance_hosts", &["disable", "random"]),
    ("max_protocol_version", &["3.0", "3.2", "latest"]),
    ("min_protocol_version", &["3.0"]),
    ("replication", &["false", "off", "no", "0"]),
    ("ssl_max_protocol_version", &["TLSv1.3"]),
    ("ssl_min_protocol_version", &["TLSv1.2", "TLSv1.1", "TLSv1"]),
    ("sslcertmode", &["allow"]),
    ("sslcompression", &["0", "1"]),
    ("sslnegotiation", &["postgres"]),
    ("sslsni", &["1"]),
    // Each of these leads to the server that takes writes, since the gateway writes.
    ("target_session_attrs", &["read-write", "primary", "any"]),
    ("requirepeer", &[]),
];

/// How TCP notices that a server is gone. Every connection is tried before each use instead.
const KEEPALIVES: [&str; 5] = [
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
];

/// What libpq knows besides, with a hint where there is another way.
const UNSUPPORTED: [(&str, &str); 14] = [
    ("gssdelegation", ""),
    ("gsslib", ""),
    ("krbsrvname", ""),
    ("passfile", "; name the file in the environment variable PGPASSFILE"),
    ("pgbouncer", "; set database.pooler to \"session\" or \"transaction\""),
    ("require_auth", ""),
    ("scram_client_key", ""),
    ("scram_server_key", ""),
    ("service", ""),
    ("servicefile", ""),
    ("sslcrl", ""),
    ("sslcrldir", ""),
    ("sslkeylogfile", ""),
    ("sslpassword", "; keep the key in a file without a password"),
];

/// The parameters that take effect, by name.
type Taken = BTreeMap<&'static str, String>;

impl Target {
    pub(in crate::store::database) fn of(url: &str) -> Result<Target, Error> {
        let mut parts = Parts::of(url)?;
        let taken = take(&mut parts)?;
        let get = |name: &str| taken.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let tls = Tls::of(&taken)?;
        let capacity =
            get("statement-cache-capacity").map(whole::<usize>("statement-cache-capacity"));
        let capacity = capacity.transpose()?;
        let mut servers = Vec::new();
        for (host, port) in places(&parts, &taken)? {
            let mut options = tls.apply(base(&parts, &taken, &host, port)?);
            if let Some(name) = get("application_name").or(get("fallback_application_name")) {
                options = options.application_name(name);
            }
            if let Some(capacity) = capacity {
                options = options.statement_cache_capacity(capacity);
            }
            servers.push(options);
        }
        let seconds = get("connect_timeout").map(whole::<i32>("connect_timeout")).transpose()?;
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let connect_timeout = seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Ok(Target { servers, connect_timeout })
    }
}

/// The parameters that take effect; an error about one that asks for what cannot be done.
fn take(parts: &mut Parts) -> Result<Taken, Error> {
    let mut taken = Taken::new();
    for (name, value) in std::mem::take(&mut parts.parameters) {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(&*name, |(_, name)| name);
        if let Some(known) = TAKEN.iter().find(|known| **known == name) {
            taken.insert(known, value);
        } else if name == "ssl" && value == "true" {
            taken.insert("sslmode", "require".to_owned());
        } else {
            check(name, &value, parts.is_doubtful)?;
        }
    }
    Ok(taken)
}

/// Whether a parameter that takes no effect asks for nothing else than what is done.
fn check(name: &str, value: &str, is_doubtful: bool) -> Result<(), Error> {
    if let Some((name, values)) = GRANTED.iter().find(|(known, _)| *known == name) {
        let is_granted = values.iter().any(|granted| granted.eq_ignore_ascii_case(value));
        return match values {
            _ if is_granted || value.is_empty() => Ok(()),
            [] => Err(unsupported(name, "")),
            _ => Err(wrong(name, &values.join(" or "))),
        };
    }
    if let Some(name) = KEEPALIVES.iter().find(|known| **known == name) {
        return if value.is_empty() { Ok(()) } else { whole::<i32>(name)(value).map(drop) };
    }
    match UNSUPPORTED.iter().find(|(known, _)| *known == name) {
        Some((name, hint)) => Err(unsupported(name, hint)),
        None if is_doubtful || !is_name(name) => Err(unreadable()),
        None => Err(Error::settings(&format!("database.url: unknown parameter {name}"))),
    }
}

/// Host and port of each server; no host and no port where libpq has a default.
fn places(url: &Parts, taken: &Taken) -> Result<Vec<(String, Option<u16>)>, Error> {
    let list = |name: &str, of_url: fn(&(String, String)) -> String| -> Vec<String> {
        match taken.get(name) {
            Some(text) => text.split(',').map(str::to_owned).collect(),
            None => url.servers.iter().map(of_url).collect(),
        }
    };
    let mut hosts = list("host", |(host, _)| host.clone());
    let ports = list("port", |(_, port)| port.clone());
    if let Some(addresses) = taken.get("hostaddr").filter(|text| !text.is_empty()) {
        hosts = addresses_of(&hosts, addresses, taken)?;
    }
    if ports.len() != 1 && ports.len() != hosts.len() {
        return Err(wrong("port", "one for all hosts, or one for each"));
    }
    let mut places = Vec::new();
    for (index, host) in hosts.into_iter().enumerate() {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.contains(['@', ' ']) {
            return Err(unreadable());
        }
        let port = ports.get(index).or(ports.first()).filter(|port| !port.is_empty());
        let number = |port: &String| port.parse().ok().filter(|port| *port > 0);
        let number = port.map(|port| number(port).ok_or_else(bad_port)).transpose()?;
        places.push((host, number));
    }
    Ok(places)
}

/// What takes the place of the hosts. A certificate would then be checked against the address.
fn addresses_of(hosts: &[String], addresses: &str, taken: &Taken) -> Result<Vec<String>, Error> {
    let is_named = hosts.iter().any(|host| !host.is_empty());
    let addresses: Vec<String> = addresses.split(',').map(str::to_owned).collect();
    if is_named && hosts.len() != addresses.len() {
        return Err(wrong("hostaddr", "one for each host"));
    }
    if is_named && taken.get("sslmode").is_some_and(|mode| mode == "verify-full") {
        return Err(unsupported("hostaddr", " beside host with sslmode=verify-full"));
    }
    let is_address = |text: &String| text.parse::<std::net::IpAddr>().is_ok();
    if addresses.iter().all(is_address) {
        Ok(addresses)
    } else {
        Err(wrong("hostaddr", "an IP address"))
    }
}

/// By way of the driver's own URL, since only then does it look for a password in a `.pgpass` file.
fn base(
    parts: &Parts,
    taken: &Taken,
    host: &str,
    port: Option<u16>,
) -> Result<PgConnectOptions, Error> {
    let mut url = Serializer::for_suffix("postgres:///?".to_owned(), "postgres:///?".len());
    let port = port.map(|port| port.to_string());
    let pairs = [
        ("host", Some(host)),
        ("port", port.as_deref()),
        ("user", taken.get("user").or(parts.user.as_ref()).map(String::as_str)),
        ("password", taken.get("password").or(parts.password.as_ref()).map(String::as_str)),
        ("dbname", taken.get("dbname").or(parts.database.as_ref()).map(String::as_str)),
        ("options", taken.get("options").map(String::as_str)),
    ];
    for (name, value) in pairs {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            url.append_pair(name, value);
        }
    }
    url.finish().parse().map_err(|_| unreadable())
}

/// How the connection is encrypted, and who must prove what.
struct Tls {
    mode: Option<PgSslMode>,
    root: Option<String>,
    /// The client's certificate and key.
    client: Option<(String, String)>,
}

impl Tls {
    fn of(taken: &Taken) -> Result<Tls, Error> {
        let get = |name: &str| taken.get(name).cloned().filter(|text| !text.is_empty());
        let mode = match get("sslmode").as_deref() {
            None => None,
            Some("disable") => Some(PgSslMode::Disable),
            // libpq tries without TLS first here. The driver would never try with it.
            Some("allow" | "prefer") => Some(PgSslMode::Prefer),
            Some("require") => Some(PgSslMode::Require),
            Some("verify-ca") => Some(PgSslMode::VerifyCa),
            Some("verify-full") => Some(PgSslMode::VerifyFull),
            Some(_) => {
                let modes = "disable, allow, prefer, require, verify-ca or verify-full";
                return Err(wrong("sslmode", modes));
            }
        };
        let (mode, root) = match (get("sslrootcert").as_deref(), mode) {
            (Some("system"), None | Some(PgSslMode::VerifyFull)) => {
                (Some(PgSslMode::VerifyFull), None)
            }
            (Some("system"), _) => {
                return Err(wrong("sslmode", "verify-full where sslrootcert is system"));
            }
            // As in libpq, where there is a root certificate it is used.
            (Some(root), Some(PgSslMode::Require)) => {
                (Some(PgSslMode::VerifyCa), Some(root.to_owned()))
            }
            (root, mode) => (mode, root.map(str::to_owned)),
        };
        let client = match (get("sslcert"), get("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("sslkey", "set beside sslcert")),
            (None, Some(_)) => return Err(wrong("sslcert", "set beside sslkey")),
        };
        Ok(Tls { mode, root, client })
    }

    fn apply(&self, mut options: PgConnectOptions) -> PgConnectOptions {
        if let Some(mode) = self.mode {
            options = options.ssl_mode(mode);
        }
        if let Some(root) = &self.root {
            options = options.ssl_root_cert(root);
        }
        if let Some((certificate, key)) = &self.client {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        options
    }
}

/// Reads a whole number.
fn whole<T: std::str::FromStr>(name: &str) -> impl Fn(&str) -> Result<T, Error> {
    move |text| text.trim().parse().map_err(|_| wrong(name, "a whole number"))
}

/// Whether it is a parameter's name rather than a piece of something else.
fn is_name(text: &str) -> bool {
    let is_part = |c: u8| c.is_ascii_alphanumeric() || b"_-.[]".contains(&c);
    text.len() <= 40 && text.bytes().all(is_part)
}

fn unsupported(name: &str, hint: &str) -> Error {
    Error::settings(&format!("database.url: the parameter {name} is not supported{hint}"))
}

fn wrong(name: &str, expected: &str) -> Error {
    Error::settings(&format!("database.url: the parameter {name} must be {expected}"))
}

fn bad_port() -> Error {
    Error::settings(
        "database.url: a port must be a whole number from 1 to 65535; write a / inside a password as %2F",
    )
}
