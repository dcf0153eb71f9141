//! Settings as people write them: with what editors and shells leave around a value, set to nothing, or by a name that
//! is nearly right. They are taken as they are meant, or the error says what is meant.

use std::path::Path;

use countersign::config::{self, Config, Problem};

use crate::config::{APP, CANARY, KEY_1, map, parse, variable};

/// What may stand before and after a value.
const AROUND: [(&str, &str); 6] =
    [("", "\n"), ("", "\r\n"), ("\u{feff}", ""), ("\u{feff}", "\r\n"), (" ", "\t\n\n"), ("\n", "")];
/// What counts as nothing.
const NOTHING: [&str; 5] = ["", " ", "\n", "\r\n", "\u{feff}\r\n"];
const FIELDS: [&str; 11] = [
    "account_limit",
    "app_only",
    "bearer_token",
    "consumer_key",
    "consumer_secret",
    "lookup",
    "over_limit",
    "quota.mode",
    "quota.per_minute",
    "quota.per_second",
    "quota.scope",
];

/// Every key that has a default, with the default as a variable would hold it.
fn defaults() -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in config::describe().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, value)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            let value = value.trim_matches(['"', '[', ']']);
            found.push((format!("{section}.{name}"), value.to_owned()));
        }
    }
    found
}

#[track_caller]
fn taken(file: &str, variables: &[(&str, &str)]) -> Config {
    parse(Some(file), variables).unwrap_or_else(|errors| panic!("{variables:?}: {errors}"))
}

#[test]
fn what_editors_and_shells_leave_around_a_value_is_no_part_of_it() {
    let (secret, ring) = (format!("s{CANARY}"), format!("k0000001={KEY_1}"));
    let url = "postgres://u:p@h/d";
    for (before, after) in AROUND {
        let around = |value: &str| format!("{before}{value}{after}");
        for (key, value) in defaults() {
            taken("", &[(&variable(&key), &around(&value))]);
        }
        let in_variables = [
            ("COUNTERSIGN__APPS__MAIN__CONSUMER_KEY", around("ck")),
            ("COUNTERSIGN__APPS__MAIN__CONSUMER_SECRET", around(&secret)),
            ("COUNTERSIGN__APPS__MAIN__BEARER_TOKEN", around(&secret)),
            ("COUNTERSIGN__DATABASE__URL", around(url)),
            ("COUNTERSIGN__VAULT__KEYS", around(&ring)),
            ("COUNTERSIGN__VAULT__ACTIVE", around("k0000001")),
            ("COUNTERSIGN__LOG__LEVEL", around("warn")),
        ];
        // The paths of files end with their values' names, and the files hold these.
        let in_files = in_variables.clone().map(|(name, text)| match name {
            "COUNTERSIGN__VAULT__ACTIVE" | "COUNTERSIGN__LOG__LEVEL" => (name.to_owned(), text),
            _ => (format!("{name}_FILE"), around(&format!("/run/{name}"))),
        });
        let read = |path: &Path| {
            let name = path.to_str().unwrap().strip_prefix("/run/").unwrap();
            Ok(in_variables.iter().find(|variable| variable.0 == name).unwrap().1.clone())
        };
        let variables = in_variables.clone().map(|(name, text)| (name.to_owned(), text));
        for environment in [variables, in_files] {
            let config = config::parse(None, &environment.into(), &read);
            let config = config.unwrap_or_else(|errors| panic!("{before:?} {after:?}: {errors}"));
            let app = &config.apps["main"];
            assert_eq!((&*app.consumer_key, app.consumer_secret.expose()), ("ck", &*secret));
            assert_eq!(app.bearer_token.as_ref().unwrap().expose(), secret);
            assert_eq!(config.database.url.expose(), url);
            assert_eq!(config.vault.keys[0].1.expose(), KEY_1);
        }
    }
    let in_file = format!("{APP}apps.main.bearer_token = \"\"\"\n{secret}\n\"\"\"\n");
    assert_eq!(taken(&in_file, &[]).apps["main"].bearer_token.as_ref().unwrap().expose(), secret);
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let defaults = defaults();
    assert!(defaults.len() > 60, "does this still read the whole file?");
    let of_app = FIELDS.map(|field| format!("apps.main.{field}"));
    let keys = defaults.into_iter().map(|default| default.0).chain(of_app);
    for key in keys {
        for nothing in NOTHING {
            for variable in [variable(&key), format!("{}_FILE", variable(&key))] {
                taken("", &[(&variable, nothing)]);
                taken(APP, &[(&variable, nothing)]);
            }
        }
    }
    for nothing in NOTHING {
        let file = format!("{APP}log.level = 'warn'\nadmin.hosts = ['a.example']\n");
        let unset =
            ["LOG__LEVEL", "ADMIN__HOSTS", "APPS__MAIN__CONSUMER_SECRET", "APPS__B__LOOKUP"]
                .map(|key| format!("COUNTERSIGN__{key}"));
        let config = taken(&file, &unset.each_ref().map(|variable| (&**variable, nothing)));
        assert_eq!(config.log.level, config::LogLevel::Warn, "the file's value stays");
        assert!(config.admin.hosts.has("a.example"));
        assert_eq!(config.apps["main"].consumer_secret.expose(), format!("cs-{CANARY}"));
        assert_eq!(config.apps.len(), 1);
        // A secret may then be in a file all the same.
        let variables = [
            ("COUNTERSIGN__DATABASE__URL", nothing),
            ("COUNTERSIGN__DATABASE__URL_FILE", "/run/url"),
        ];
        let read = |_: &Path| Ok("postgres://u:p@h/d".to_owned());
        let config = config::parse(None, &map(&variables), &read).ok().unwrap();
        assert_eq!(config.database.url.expose(), "postgres://u:p@h/d");
    }
}

#[test]
fn a_port_alone_and_localhost_are_this_machines() {
    for (text, address) in [
        ("8080", "127.0.0.1:8080"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("LocalHost:8080\n", "127.0.0.1:8080"),
        ("0", "127.0.0.1:0"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::]:8080", "[::]:8080"),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(config::parse_address(text), Ok(address), "{text}");
        let variables = [("COUNTERSIGN__SERVER__LISTEN", text)];
        assert_eq!(taken("", &variables).server.listen, address, "{text}");
    }
    assert_eq!(taken("admin.listen = 9000", &[]).admin.listen, "127.0.0.1:9000".parse().unwrap());
    let wrong = config::parse_address(":8080").unwrap_err();
    assert!(wrong.starts_with("expected an IP address and a port"), "{wrong}");
}

#[test]
fn a_variable_whose_name_is_nearly_right_is_told_by_the_right_one() {
    for (name, meant) in [
        ("COUNTERSIGN_SERVER_LISTEN", "COUNTERSIGN__SERVER__LISTEN"),
        ("countersign_server_listen", "COUNTERSIGN__SERVER__LISTEN"),
        ("COUNTERSIGN_SERVER__LISTEN", "COUNTERSIGN__SERVER__LISTEN"),
        ("COUNTERSIGN_DATABASE_URL", "COUNTERSIGN__DATABASE__URL"),
        ("COUNTERSIGN_DATABASE_URL_FILE", "COUNTERSIGN__DATABASE__URL_FILE"),
        ("COUNTERSIGN_VAULT_KEYS", "COUNTERSIGN__VAULT__KEYS"),
        ("COUNTERSIGN_VAULT_KEY", "COUNTERSIGN__VAULT__KEYS"),
        ("COUNTERSIGN_LOG_FORMATS", "COUNTERSIGN__LOG__FORMAT"),
        ("COUNTERSIGN_LIMITS_QUESTION_POSTS", "COUNTERSIGN__LIMITS__QUESTION_POSTS"),
        ("COUNTERSIGN_APPS_MAIN_CONSUMER_KEY", "COUNTERSIGN__APPS__MAIN__CONSUMER_KEY"),
        ("COUNTERSIGN_APP_MAIN_CONSUMER_KEY", "COUNTERSIGN__APPS__MAIN__CONSUMER_KEY"),
        ("COUNTERSIGN_APPS_MY_APP_LOOKUP", "COUNTERSIGN__APPS__MY_APP__LOOKUP"),
        (
            "COUNTERSIGN_APPS_MY_APP_CONSUMER_SECRET_FILE",
            "COUNTERSIGN__APPS__MY_APP__CONSUMER_SECRET_FILE",
        ),
    ] {
        let errors = parse(None, &[(name, CANARY)]).err().unwrap_or_else(|| panic!("{name}"));
        let detail = format!("unknown variable; did you mean {meant}?");
        let (key, origin) = (name.to_owned(), "environment".to_owned());
        assert_eq!(errors.0, [Problem { key, origin, detail }]);
        for nothing in NOTHING {
            taken("", &[(name, nothing)]);
        }
    }
    for (name, meant) in [
        ("COUNTERSIGN__SERVER_LISTEN", "COUNTERSIGN__SERVER__LISTEN"),
        ("COUNTERSIGN___SERVER___LISTEN", "COUNTERSIGN__SERVER__LISTEN"),
        ("COUNTERSIGN__APPS_MAIN_CONSUMER_KEY", "COUNTERSIGN__APPS__MAIN__CONSUMER_KEY"),
    ] {
        let errors = parse(None, &[(name, CANARY)]).err().unwrap_or_else(|| panic!("{name}"));
        let told = errors.to_string();
        assert!(told.ends_with(&format!("unknown setting; did you mean {meant}?")), "{told}");
        assert!(!told.contains(CANARY), "{told}");
    }
    let errors = parse(Some("server_listen = 'x'"), &[]).err().unwrap();
    assert!(errors.to_string().ends_with("did you mean server.listen?"), "{errors}");
}

#[test]
fn variables_of_others_are_left_alone() {
    for name in [
        "COUNTERSIGN_CONFIG",
        "COUNTERSIGN_URL",
        "COUNTERSIGN_KEY",
        "COUNTERSIGN_KEY_FILE",
        "COUNTERSIGN_VERSION",
        "COUNTERSIGN_HOME",
        "COUNTERSIGN_TEST_POSTGRES",
        "COUNTERSIGN",
        "SERVER_LISTEN",
        // Those that Kubernetes adds for services called so.
        "COUNTERSIGN_PORT",
        "COUNTERSIGN_PORT_8080_TCP",
        "COUNTERSIGN_PORT_8080_TCP_ADDR",
        "COUNTERSIGN_SERVICE_HOST",
        "COUNTERSIGN_SERVICE_PORT",
        "COUNTERSIGN_SERVICE_PORT_HTTP",
        "COUNTERSIGN_ADMIN_PORT",
        "COUNTERSIGN_ADMIN_SERVICE_HOST",
        "COUNTERSIGN_DATABASE_PORT",
        "COUNTERSIGN_DATABASE_PORT_5432_TCP_PROTO",
    ] {
        taken("", &[(name, "tcp://10.0.0.1:8080")]);
    }
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let config = taken("\u{feff}[log]\r\nlevel = 'warn'\r\n", &[]);
    assert_eq!(config.log.level, config::LogLevel::Warn);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    std::fs::write(&file, "\u{feff}log.level = 'warn'").unwrap();
    let config = config::load(Some(&file), config::Ring::NotNeeded).ok().unwrap();
    assert_eq!(config.log.level, config::LogLevel::Warn);
}
