//! Every kind of invalid setting, and the error that names it.

use crate::config::{APP, expect, parse, variable};

/// A key, an invalid value for it, and a part of the message.
const WRONG: &[(&str, &str, &str)] = &[
    ("server.listen", "cAnArY7f3", "IP address and a port"),
    ("server.listen", "localhost", "a port alone and localhost mean 127.0.0.1"),
    ("server.listen", "localhost:http", "IP address and a port"),
    ("server.listen", "gateway.internal:8080", "IP address and a port"),
    ("server.listen", "+8080", "IP address and a port"),
    ("server.listen", "65536", "IP address and a port"),
    ("server.listen", "127.0.0.1", "IP address and a port"),
    ("server.listen", "127.0.0.1:99999", "IP address and a port"),
    ("server.listen", "", "IP address and a port"),
    ("server.workers", "-1", "from 0 to 1024"),
    ("server.workers", "1.5", "from 0 to 1024"),
    ("server.workers", "9999", "from 0 to 1024"),
    ("server.trusted_proxies", "cAnArY7f3", "entry 1: expected an IP address or a network"),
    ("server.trusted_proxies", "10.0.0.7, proxy.internal", "entry 2: expected an IP address"),
    ("server.trusted_proxies", "10.0.0.0/33", "such as 10.0.0.7, 10.1.0.0/16 or fd00::/8"),
    ("admin.trusted_proxies", "10.0.0.7:443", "entry 1: expected an IP address or a network"),
    ("admin.trusted_proxies", "10.1.2.3/8", "10.0.0.0/8 for the whole network, or 10.1.2.3 for"),
    ("admin.trusted_proxies", "0.0.0.0/0", "anybody could claim to be anybody"),
    ("admin.trusted_proxies", "::/0", "anybody could claim to be anybody"),
    ("admin.trusted_proxies", "::ffff:0:0/96", "anybody could claim to be anybody"),
    ("admin.listen", ":8081", "IP address and a port"),
    ("admin.listen", "127.0.0.1:8080", "a different address than server.listen"),
    ("admin.listen", "8080", "a different address than server.listen"),
    ("database.url", "", "sqlite://"),
    ("database.url", "mysql://u:cAnArY7f3@h/d", "postgres://"),
    ("database.url", "postgres://", "postgres://"),
    ("database.url", "postgres://u:cAnArY7f3@h/a b", "postgres://"),
    ("database.url", "cAnArY7f3.db", "sqlite://"),
    ("database.pooler", "statement", "\"none\", \"session\" or \"transaction\""),
    ("database.connections", "0", "from 1 to 1000"),
    ("database.connections", "many", "from 1 to 1000"),
    ("database.call_wait", "0s", "above zero"),
    ("database.call_wait", "250", "duration"),
    ("database.wait", "soon", "duration"),
    ("database.statement_timeout", "-2s", "duration"),
    ("database.connection_life", "31d", "at most 30 days"),
    ("database.stale", "5 parsecs", "duration"),
    ("database.poll", "", "duration"),
    ("upstream.data_url", "http://data-api.twitter.com", "https://"),
    ("upstream.data_url", "data-api.twitter.com", "https://"),
    ("upstream.data_url", "https://data-api.twitter.com/insights", "without user, path or query"),
    (
        "upstream.data_url",
        "https://u:cAnArY7f3@data-api.twitter.com",
        "without user, path or query",
    ),
    (
        "upstream.data_url",
        "https://data-api.twitter.com?k=cAnArY7f3",
        "without user, path or query",
    ),
    ("upstream.data_url", "https://data-api.twitter.com//", "without user, path or query"),
    ("upstream.data_url", "", "https://"),
    ("upstream.api_url", "ftp://api.twitter.com", "https://"),
    ("upstream.api_url", "https://", "https://"),
    ("upstream.api_url", "https://api.twitter.com:port", "https://"),
    ("admin.hosts", "metrics.example.com:443", "names or IP addresses without ports"),
    ("webhooks.receivers", "https://hooks.example.com", "names or IP addresses without ports"),
    ("limits.key_links", "0", "a whole number from 1 to 1000000"),
    ("limits.warm_up", "5", "a duration of at most 30 days"),
    ("upstream.allow_http", "yes", "true or false"),
    ("upstream.allow_http", "1", "true or false"),
    ("apps.main.consumer_key", "", "not empty"),
    ("apps.main.consumer_key", "changeme", "placeholder"),
    ("apps.main.consumer_key", "two words cAnArY7f3", "without spaces"),
    ("apps.main.consumer_secret", "xxx", "placeholder"),
    ("apps.main.consumer_secret", "XXXXXXXX", "placeholder"),
    ("apps.main.consumer_secret", "<cAnArY7f3>", "placeholder"),
    ("apps.main.consumer_secret", "your-consumer-secret", "placeholder"),
    ("apps.main.consumer_secret", "cAnArY7f3\nsecond line", "without spaces"),
    ("apps.main.bearer_token", "", "not empty"),
    ("apps.main.bearer_token", "Bearer cAnArY7f3", "without spaces"),
    ("apps.main.bearer_token", "cAnArY7f3é", "not empty"),
    ("apps.main.app_only", "oauth2", "two_legged"),
    ("apps.main.app_only", "Bearer", "two_legged"),
    ("apps.main.lookup", "1", "true or false"),
    ("apps.main.account_limit", "0", "from 1"),
    ("apps.main.account_limit", "many", "a whole number"),
    ("apps.main.over_limit", "stop", "\"warn\" or \"refuse\""),
    ("apps.main.quota.scope", "endpoint", "\"app+kind+endpoint\""),
    ("apps.main.quota.mode", "off", "\"enforce\" or \"observe\""),
    ("apps.main.quota.per_minute", "0", "from 1"),
    ("apps.main.quota.per_second", "many", "a whole number"),
    ("vault.keys", "cAnArY7f3", "entry 1: expected `id=key`"),
    ("vault.keys", "short=cAnArY7f3", "entry 1: expected `id=key` with an id of 8"),
    ("vault.keys", "UPPERCAS=cAnArY7f3", "an id of 8 characters (a-z and 0-9)"),
    ("vault.keys", "k0000001=cAnArY7f3!", "standard base64"),
    ("vault.keys", "k0000001=Y0FuQXJZN2Yz", "exactly 32 bytes"),
    ("vault.keys", "k0000001=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "standard base64"),
    ("vault.keys", "k0000001=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", "exactly 32 bytes"),
    ("vault.active", "cAnArY7f3", "the id of an entry"),
    ("vault.active", "k0000009", "the id of an entry"),
    ("limits.connections", "0", "from 1"),
    ("limits.connections", "4294967296", "from 1 to 4294967295"),
    ("limits.header_timeout", "10", "duration"),
    ("limits.header_bytes", "4096", "at least 8192"),
    ("limits.headers", "64 fields", "from 1"),
    ("limits.body_bytes", "64KiB", "from 1"),
    ("limits.body_idle", "0s", "above zero"),
    ("limits.write_idle", "0ms", "above zero"),
    ("limits.keep_alive", "x", "duration"),
    ("limits.request_deadline", "0s", "above zero"),
    ("limits.drain_notice", "now", "duration"),
    ("limits.drain", "0s", "above zero"),
    ("limits.upstream_connect", "0s", "above zero"),
    ("limits.upstream_first_byte", "0s", "above zero"),
    ("limits.upstream_total", "9s", "at least limits.upstream_first_byte"),
    ("limits.upstream_idle", "0s", "above zero"),
    ("limits.upstream_connection_age", "", "duration"),
    ("limits.upstream_compressed_bytes", "-4", "from 1"),
    ("limits.upstream_body_bytes", "0", "from 1"),
    ("limits.upstream_ratio", "0", "from 1"),
    ("limits.retry_share", "1.1", "from 0 to 1"),
    ("limits.retry_share", "NaN", "from 0 to 1"),
    ("limits.retry_floor", "-1", "from 0"),
    ("limits.retry_floor", "inf", "from 0"),
    ("limits.cached_keys", "-1", "from 0"),
    ("limits.cached_accounts", "all", "from 0"),
    ("limits.negative_cache", "0s", "above zero"),
    ("limits.answer_memory", "33554431", "at least 33554432"),
    ("limits.read_rate", "0", "from 1"),
    ("limits.question_numbers", "0", "from 1"),
    ("limits.key_questions", "0", "from 1 to 1000"),
    ("log.format", "xml", "\"human\" or \"json\""),
    ("log.level", "verbose", "\"trace\""),
    ("log.levle", "info", "log.level?"),
    ("limits.conections", "5", "limits.connections?"),
    ("apps.main.consumer_secrt", "cAnArY7f3", "apps.main.consumer_secret?"),
    ("vault.key_file", "/cAnArY7f3", "vault.keys_file?"),
    ("log.format_file", "/cAnArY7f3", "unknown setting"),
    ("nonsense.cannot_be_meant", "cAnArY7f3", "unknown setting"),
    ("server", "cAnArY7f3", "expected a section"),
    ("apps", "cAnArY7f3", "expected a section"),
    ("apps.main", "cAnArY7f3", "unknown setting"),
    ("database.url_file", "/nowhere/cAnArY7f3", "no such file"),
    ("vault.keys_file", "cAnArY7f3", "no such file"),
];

/// A whole file that is invalid, the key that is named, and a part of the message.
const WRONG_FILES: &[(&str, &str, &str)] = &[
    ("[server\nlisten = 'cAnArY7f3'", "config file", "line 1, column 8"),
    ("[log]\nlevel = cAnArY7f3", "config file", "line 2"),
    ("[log]\nlevel = 'info'\nlevel = 'cAnArY7f3'", "config file", "line 3"),
    ("server.workers = 99999999999999999999", "config file", "line 1, column 18"),
    ("[log]\nlevel = ['cAnArY7f3']", "log.level", "not a list"),
    ("[[apps]]\nconsumer_key = 'cAnArY7f3'", "apps", "not a list"),
    ("[apps.main]", "apps.main", "that is not empty"),
    ("[apps.main]\nconsumer_key = 'cAnArY7f3'", "apps.main.consumer_secret", "needs both"),
    ("[apps.main]\nconsumer_secret = 'cAnArY7f3'", "apps.main.consumer_key", "needs both"),
    ("[apps.main]\nbearer_token = 'cAnArY7f3'", "apps.main.consumer_key", "needs both"),
    ("[apps.main]\napp_only = 'two_legged'\nlookup = true", "apps.main.lookup", "expected false"),
    ("[apps.main]\nover_limit = 'refuse'", "apps.main.over_limit", "account_limit to be set"),
    ("[apps.1st]\napp_only = 'bearer'", "apps.1st", "starts with a letter"),
    ("[apps.Main]\nconsumer_key = 'cAnArY7f3'", "apps.Main", "1 to 40 characters (a-z"),
    ("[apps.\"a.b\"]\nconsumer_key = 'cAnArY7f3'", "apps.a.b", "1 to 40 characters (a-z"),
    ("[vault]\nkeys = [1, 'cAnArY7f3']", "vault.keys", "entry 2: expected `id=key`"),
    ("[vault]\nactive = 'k0000001'", "vault.active", "the id of an entry"),
    ("[server.listen]\nport = 8080", "server.listen.port", "unknown setting"),
];

#[test]
fn every_wrong_value_is_named_with_its_source() {
    for &(key, value, words) in WRONG {
        // Together with an app, minus the lines that the invalid value replaces.
        let stays = |line: &&str| line.split(' ').next().is_some_and(|name| !name.starts_with(key));
        let app: Vec<&str> = APP.lines().filter(stays).collect();
        let app = app.join("\n");
        let file = format!("{key} = {value:?}\n{app}");
        expect(parse(Some(&file), &[]), key, "test.toml", words);
        // An empty variable counts as not set.
        if !value.is_empty() {
            let words = match words.strip_suffix('?') {
                Some(meant) => variable(meant) + "?",
                None => words.to_owned(),
            };
            expect(parse(Some(&app), &[(&variable(key), value)]), key, &variable(key), &words);
        }
    }
}

#[test]
fn every_wrong_file_is_told_where() {
    for &(text, key, words) in WRONG_FILES {
        expect(parse(Some(text), &[]), key, "test.toml", words);
    }
}
