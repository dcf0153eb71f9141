//! Settings: their layers, their forms, and the errors that name what is invalid.

mod invalid;
mod meant;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use countersign::model::quota::Quota;

use countersign::config::{self, Config, Errors, LogFormat, LogLevel, Problem, Ring};
use countersign::model::AppOnly;

/// A part of every secret and of every invalid value: no message may contain it.
const CANARY: &str = "cAnArY7f3";
const KEY_1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY_2: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const SAME_BYTES: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
const APP: &str =
    "apps.main.consumer_key = 'ck-cAnArY7f3'\napps.main.consumer_secret = 'cs-cAnArY7f3'\n";

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
    assert_eq!(keys, 86, "a key came or went: does the file still name every one?");
}

#[test]
fn a_file_with_every_documented_key_parses() {
    const OF_APP: [&str; 8] = [
        "app_only",
        "lookup",
        "account_limit",
        "over_limit",
        "scope = ",
        "per_minute = ",
        "per_second = ",
        "mode = ",
    ];
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[apps") || rest.contains("_file = ") => rest.to_owned(),
        Some(rest) if OF_APP.iter().any(|key| rest.starts_with(key)) => rest.to_owned(),
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
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.database.url.expose(), "postgres://u:p@h/d");
    assert_eq!(config.vault.active, "k0000001");
    let app = &config.apps["main"];
    assert_eq!((app.consumer_key.as_str(), app.consumer_secret.expose()), (CANARY, CANARY));
    assert_eq!(app.bearer_token.as_ref().unwrap().expose(), CANARY);
    let Quota { per_minute, per_second, .. } = app.quota;
    assert_eq!((per_minute, per_second), (Some(600), Some(20)));
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
    let keys: Vec<&str> = errors.0.iter().map(|problem| &*problem.key).collect();
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
    // An invalid value is not even parsed once a later layer overrides it.
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
    let config = parse(None, &variables).unwrap_or_else(|error| panic!("{error}"));
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
        let config = config.unwrap_or_else(|error| panic!("{error}"));
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
    let mend = |path: &Path| {
        let path = path.display();
        format!("{path} can be read by everybody on this machine; `chmod o= {path}` fixes it")
    };
    assert_eq!(warnings(0o640, 0o444), [mend(&secret)]);
    assert_eq!(warnings(0o644, 0o644), [mend(&secret), mend(&settings)]);
}

/// Expects this problem among the errors, and no secret in any of them.
#[track_caller]
fn expect(outcome: Result<Config, Errors>, key: &str, origin: &str, words: &str) {
    let errors = outcome.err().unwrap_or_else(|| panic!("{key} from {origin} was accepted"));
    let is_it = |problem: &&Problem| {
        problem.key.starts_with(key) && problem.origin == origin && problem.detail.contains(words)
    };
    assert!(
        errors.0.iter().any(|problem| is_it(&problem)),
        "{key} from {origin}: {words}\n{errors}"
    );
    for problem in &errors.0 {
        assert!(!problem.detail.contains(CANARY), "{key} shows a secret:\n{errors}");
        assert!(!problem.detail.contains("Y0FuQX"), "{key} shows a secret in base64:\n{errors}");
    }
}

/// The variable that sets a key.
fn variable(key: &str) -> String {
    format!("COUNTERSIGN__{}", key.to_uppercase().replace('.', "__"))
}

fn parse(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Config, Errors> {
    let read = |_: &Path| Err("cannot be read: no such file".to_owned());
    config::parse(file.map(|text| ("test.toml", text)), &map(environment), &read)
}

fn map(environment: &[(&str, &str)]) -> BTreeMap<String, String> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
