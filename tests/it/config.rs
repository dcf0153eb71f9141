//! Settings: their layers, their forms, and what is said when they are wrong.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use countersign::config::{self, Config, Errors, LogFormat, LogLevel, Problem, Ring};
use countersign::model::AppOnly;

/// In every secret and in every wrong value: no problem may show it.
const CANARY: &str = "cAnArY7f3";
const KEY_1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY_2: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const SAME_BYTES: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
const APP: &str =
    "apps.main.consumer_key = 'ck-cAnArY7f3'\napps.main.consumer_secret = 'cs-cAnArY7f3'\n";

/// A key, a wrong value of it, and a part of what is said then.
const WRONG: &[(&str, &str, &str)] = &[
    ("server.listen", "cAnArY7f3", "IP address and a port"),
    ("server.listen", "localhost:8080", "IP address and a port"),
    ("server.listen", "8080", "IP address and a port"),
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
    ("database.url", "", "sqlite://"),
    ("database.url", "mysql://u:cAnArY7f3@h/d", "postgres://"),
    ("database.url", "postgres://", "postgres://"),
    ("database.url", "postgres://u:cAnArY7f3@h/a b", "postgres://"),
    ("database.url", "cAnArY7f3.db", "sqlite://"),
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
    ("limits.unknown_for", "0s", "above zero"),
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

/// A whole file that is wrong, the key that is named, and a part of what is said.
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
fn the_default_file_sets_what_it_says() {
    let config = parse(None, &[]).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.admin.listen, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(config.database.url.expose(), "sqlite://countersign.db");
    assert_eq!(config.upstream.data_url, "https://data-api.twitter.com");
    assert_eq!(config.upstream.api_url, "https://api.twitter.com");
    assert!(!config.upstream.allow_http);
    assert!(
        config.apps.is_empty() && config.vault.keys.is_empty() && config.vault.active.is_empty()
    );
    assert_eq!(config.limits.upstream_body_bytes, 16 << 20);
    assert_eq!(config.limits.upstream_total, Duration::from_secs(25));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Human, LogLevel::Info));
}

#[test]
fn the_default_file_gives_a_sentence_to_every_key() {
    let lines: Vec<&str> = config::describe().lines().collect();
    let is_key = |line: &str| {
        let name = line.trim_start_matches("# ").split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
    };
    let mut keys = 0;
    for pair in lines.windows(2).filter(|pair| is_key(pair[1])) {
        keys += 1;
        let is_variant = pair[1].contains("_file = ");
        assert!(pair[0].starts_with("# ") && (is_variant || !is_key(pair[0])), "{}", pair[1]);
    }
    assert_eq!(keys, 72, "a key came or went: does the file still name every one?");
}

#[test]
fn a_file_with_every_documented_key_parses() {
    const OF_APP: [&str; 4] = ["app_only", "lookup", "account_limit", "over_limit"];
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[apps") || rest.contains("_file = ") => rest.to_owned(),
        Some(rest) if OF_APP.iter().any(|it| rest.starts_with(it)) => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = config::describe().lines().map(uncommented).collect();
    let text =
        text.join("\n").replace("url = \"sqlite", "# url = \"sqlite").replace("keys = []", "");
    let ring = format!("k0000001={KEY_1}");
    let read = |path: &Path| match path.to_str() {
        Some("/run/secrets/database_url") => Ok("postgres://u:p@h/d\n".to_owned()),
        Some("/run/secrets/vault_keys") => Ok(ring.clone()),
        Some(_) => Ok(format!("{CANARY}\n")),
        None => unreachable!(),
    };
    let config = config::parse(Some(("x.toml", &text)), &BTreeMap::new(), &read)
        .unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.database.url.expose(), "postgres://u:p@h/d");
    assert_eq!(config.vault.active, "k0000001");
    let app = &config.apps["main"];
    assert_eq!((app.consumer_key.as_str(), app.consumer_secret.expose()), (CANARY, CANARY));
    assert_eq!(app.bearer_token.as_ref().unwrap().expose(), CANARY);
}

#[test]
fn every_wrong_value_is_named_with_its_source() {
    for &(key, value, words) in WRONG {
        // Beside an app, without what the wrong value replaces.
        let stays = |line: &&str| line.split(' ').next().is_some_and(|it| !it.starts_with(key));
        let app: Vec<&str> = APP.lines().filter(stays).collect();
        let app = app.join("\n");
        let file = format!("{key} = {value:?}\n{app}");
        expect(parse(Some(&file), &[]), key, "test.toml", words);
        let variable = format!("COUNTERSIGN__{}", key.to_uppercase().replace('.', "__"));
        expect(parse(Some(&app), &[(&variable, value)]), key, &variable, words);
    }
}

#[test]
fn every_wrong_file_is_told_where() {
    for &(text, key, words) in WRONG_FILES {
        expect(parse(Some(text), &[]), key, "test.toml", words);
    }
}

#[test]
fn vault_keys_are_judged_one_by_one() {
    let cases = [
        (format!("k0000001={SAME_BYTES}"), "entry 1: expected a random key"),
        (
            format!("k0000001={KEY_1}, k0000002={CANARY}"),
            "entry 2: expected a key in standard base64",
        ),
        (
            format!("k0000001={KEY_1}\nk0000001={KEY_2}"),
            "entry 2: expected an id that no earlier entry",
        ),
    ];
    for (keys, words) in &cases {
        let wrong = parse(None, &[("COUNTERSIGN__VAULT__KEYS", keys)]);
        expect(wrong, "vault.keys", "COUNTERSIGN__VAULT__KEYS", words);
    }
    let two = format!("k0000001={KEY_1},\n k0000002={KEY_2}\n");
    let unsaid = parse(None, &[("COUNTERSIGN__VAULT__KEYS", &two)]).unwrap();
    assert_eq!(unsaid.vault.active, "k0000001", "the first one seals");

    let list =
        format!("[vault]\nactive = 'k0000002'\nkeys = ['k0000001={KEY_1}', 'k0000002={KEY_2}']");
    let variables =
        [("COUNTERSIGN__VAULT__KEYS", &*two), ("COUNTERSIGN__VAULT__ACTIVE", "k0000002")];
    for config in [parse(Some(&list), &[]).unwrap(), parse(None, &variables).unwrap()] {
        let ring: Vec<_> =
            config.vault.keys.iter().map(|(id, key)| (&**id, key.expose())).collect();
        assert_eq!(ring, [("k0000001", KEY_1), ("k0000002", KEY_2)]);
        assert_eq!(config.vault.active, "k0000002");
    }
}

#[test]
fn all_problems_come_at_once() {
    let file =
        "server.workers = -1\nlog.level = 'loud'\nnonsense = 1\napps.main.consumer_key = 'k'";
    let variables = [("COUNTERSIGN__LOG__FORMAT", "xml"), ("COUNTERSIGN__VAULT__KEYS", "a,b")];
    let errors = parse(Some(file), &variables).err().unwrap();
    let keys: Vec<&str> = errors.0.iter().map(|it| &*it.key).collect();
    let expected = [
        "apps.main.consumer_secret",
        "log.format",
        "log.level",
        "nonsense",
        "server.workers",
        "vault.keys",
        "vault.keys",
    ];
    assert_eq!(keys, expected);
    assert_eq!(errors.to_string().lines().count(), expected.len());
    assert!(
        errors.to_string().contains("log.format (COUNTERSIGN__LOG__FORMAT): expected \"human\"")
    );
}

#[test]
fn later_layers_win() {
    let file = "[log]\nlevel = 'warn'\nformat = 'json'";
    let config = parse(Some(file), &[("COUNTERSIGN__LOG__LEVEL", "debug")]).unwrap();
    assert_eq!((config.log.format, config.log.level), (LogFormat::Json, LogLevel::Debug));
    // What was wrong below is not looked at once it is replaced.
    assert!(parse(Some("log.level = 'loud'"), &[("COUNTERSIGN__LOG__LEVEL", "info")]).is_ok());
}

#[test]
fn a_secret_in_a_file_and_a_secret_in_place_replace_each_other() {
    let file = format!("{APP}[database]\nurl_file = '/nowhere'");
    let read = |path: &Path| Ok(format!(" {}\n", path.display()));
    let variables = [
        ("COUNTERSIGN__APPS__MAIN__CONSUMER_SECRET_FILE", "/run/secrets/secret"),
        ("COUNTERSIGN__DATABASE__URL", "sqlite:///data/x.db"),
    ];
    let config = config::parse(Some(("x", &file)), &map(&variables), &read).ok().unwrap();
    assert_eq!(config.apps["main"].consumer_secret.expose(), "/run/secrets/secret");
    assert_eq!(config.database.url.expose(), "sqlite:///data/x.db");
}

#[test]
fn a_secret_and_its_file_in_one_layer_are_a_problem() {
    let both = format!("{APP}apps.main.consumer_secret_file = '/x'");
    expect(parse(Some(&both), &[]), "apps.main.consumer_secret_file", "test.toml", "not both");
    let url =
        [("COUNTERSIGN__DATABASE__URL", "sqlite://x"), ("COUNTERSIGN__DATABASE__URL_FILE", "/x")];
    expect(parse(None, &url), "database.url_file", "COUNTERSIGN__DATABASE__URL_FILE", "not both");
}

#[test]
fn the_environment_alone_is_enough() {
    let variables = [
        ("COUNTERSIGN__APPS__MY_APP-2__CONSUMER_KEY", "ck"),
        ("countersign__apps__my_app-2__consumer_secret", "cs"),
        ("COUNTERSIGN__APPS__MY_APP-2__APP_ONLY", "two_legged"),
        ("COUNTERSIGN__UPSTREAM__ALLOW_HTTP", "true"),
        ("COUNTERSIGN__UPSTREAM__DATA_URL", "http://127.0.0.1:9000/"),
        ("COUNTERSIGN__LIMITS__RETRY_SHARE", "0"),
        ("COUNTERSIGN_CONFIG", "not a setting"),
        ("PATH", "/bin"),
    ];
    let config = parse(None, &variables).unwrap_or_else(|it| panic!("{it}"));
    let app = &config.apps["my_app-2"];
    assert_eq!((app.name.as_str(), app.consumer_key.as_str()), ("my_app-2", "ck"));
    assert_eq!((app.consumer_secret.expose(), app.app_only), ("cs", AppOnly::TwoLegged));
    assert_eq!(config.upstream.data_url, "http://127.0.0.1:9000");
}

#[test]
fn an_app_may_have_any_name_of_the_right_form() {
    for name in ["a", "apps", "consumer_key", "my_app-2", "s_"] {
        let key = format!("apps.{name}");
        let file = format!("{key}.consumer_key = 'k'\n{key}.consumer_secret_file = 's'\n");
        let read = |path: &Path| Ok(path.display().to_string());
        let config = config::parse(Some(("x", &file)), &BTreeMap::new(), &read);
        let config = config.unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(config.apps[name].consumer_secret.expose(), "s");
    }
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join(CANARY);
    let settings = folder.path().join("countersign.toml");
    fs::write(&keys, format!("k0000001={KEY_1}\n")).unwrap();
    fs::write(&settings, format!("vault.keys_file = {keys:?}")).unwrap();
    let origin = settings.display().to_string();

    for mode in [0o644, 0o604, 0o660, 0o444] {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        let words = format!("has mode {mode:04o} and owner ");
        expect(config::load(Some(&settings), Ring::NotNeeded), "vault.keys_file", &origin, &words);
    }
    for mode in [0o400, 0o600, 0o440, 0o640] {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        let config = config::load(Some(&settings), Ring::NotNeeded).ok().unwrap();
        assert_eq!(config.vault.keys.len(), 1, "{mode:04o}");
    }

    fs::remove_file(&keys).unwrap();
    expect(
        config::load(Some(&settings), Ring::NotNeeded),
        "vault.keys_file",
        &origin,
        "cannot be read",
    );
    expect(
        config::load(Some(&keys), Ring::NotNeeded),
        "config file",
        &keys.display().to_string(),
        "cannot be read",
    );
}

#[test]
fn a_ring_that_is_mounted_through_links_is_judged_by_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = folder.path().join("..2026_03_10");
    fs::create_dir(&mounted).unwrap();
    let file = mounted.join("ring");
    fs::write(&file, format!("k0000001={KEY_1}\n")).unwrap();
    symlink("..2026_03_10", folder.path().join("..data")).unwrap();
    symlink("..data/ring", folder.path().join("ring")).unwrap();
    let settings = folder.path().join("countersign.toml");
    fs::write(&settings, format!("vault.keys_file = {:?}", folder.path().join("ring"))).unwrap();
    for (mode, is_taken) in [(0o440, true), (0o400, true), (0o444, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let taken = config::load(Some(&settings), Ring::Needed);
        assert_eq!(taken.is_ok(), is_taken, "{mode:04o}");
    }
}

#[test]
fn other_files_that_everybody_may_read_are_taken_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, secret) = (folder.path().join("countersign.toml"), folder.path().join("secret"));
    fs::write(&secret, CANARY).unwrap();
    let app = format!("apps.main.consumer_key = 'k'\napps.main.consumer_secret_file = {secret:?}");
    fs::write(&settings, app).unwrap();
    let warnings = |of_settings, of_secret| {
        fs::set_permissions(&settings, fs::Permissions::from_mode(of_settings)).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(of_secret)).unwrap();
        config::load(Some(&settings), Ring::NotNeeded).ok().unwrap().warnings
    };
    assert_eq!(warnings(0o640, 0o440), [] as [String; 0]);
    let mend = |it: &Path| {
        let it = it.display();
        format!("{it} can be read by everybody on this machine; `chmod o= {it}` fixes it")
    };
    assert_eq!(warnings(0o640, 0o444), [mend(&secret)]);
    assert_eq!(warnings(0o644, 0o644), [mend(&secret), mend(&settings)]);
}

/// Asks for this one problem, and for no secret in any.
#[track_caller]
fn expect(outcome: Result<Config, Errors>, key: &str, origin: &str, words: &str) {
    let errors = outcome.err().unwrap_or_else(|| panic!("{key} from {origin} was accepted"));
    let is_it =
        |it: &&Problem| it.key.starts_with(key) && it.origin == origin && it.detail.contains(words);
    assert!(errors.0.iter().any(|it| is_it(&it)), "{key} from {origin}: {words}\n{errors}");
    for problem in &errors.0 {
        assert!(!problem.detail.contains(CANARY), "{key} shows a secret:\n{errors}");
        assert!(!problem.detail.contains("Y0FuQX"), "{key} shows a secret in base64:\n{errors}");
    }
}

fn parse(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Config, Errors> {
    let read = |_: &Path| Err("cannot be read: no such file".to_owned());
    config::parse(file.map(|text| ("test.toml", text)), &map(environment), &read)
}

fn map(environment: &[(&str, &str)]) -> BTreeMap<String, String> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
