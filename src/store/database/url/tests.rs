//! URLs as people have them, and what libpq makes of them.

use std::error::Error as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::database::url::parameters::Target;

fn servers(url: &str) -> Vec<PgConnectOptions> {
    Target::of(url).unwrap_or_else(|error| panic!("{url}: {:?}", error.source())).servers
}

fn only(url: &str) -> PgConnectOptions {
    let mut servers = servers(url);
    assert_eq!(servers.len(), 1, "{url}");
    servers.remove(0)
}

/// Host, or folder of the socket, and port.
fn place(options: &PgConnectOptions) -> String {
    let host =
        options.get_socket().map_or(options.get_host().into(), |path| path.to_string_lossy());
    format!("{host} {}", options.get_port())
}

fn refusal(url: &str) -> String {
    let error = Target::of(url).err().unwrap_or_else(|| panic!("{url} is taken"));
    error.source().unwrap().to_string()
}

#[test]
fn servers_are_where_libpq_finds_them() {
    for (url, expected) in [
        ("postgres://h/d", &["h 5432"][..]),
        ("postgresql://h:1/d", &["h 1"]),
        ("postgres://u:p@h:1", &["h 1"]),
        ("postgres://u@h?sslmode=disable", &["h 5432"]),
        ("postgres://[::1]/d", &["::1 5432"]),
        ("postgres://u:p@[2001:db8::7]:5433/d", &["2001:db8::7 5433"]),
        ("postgres://u:p@/d?host=/socket", &["/socket 5432"]),
        ("postgres:///d?host=/socket&port=7", &["/socket 7"]),
        ("postgres://u@%2Frun%2Fpg:7/d", &["/run/pg 7"]),
        ("postgres://ignored:1/d?host=h&port=2", &["h 2"]),
        ("postgres://h/d?hostaddr=192.0.2.7", &["192.0.2.7 5432"]),
        ("postgres:///d?hostaddr=::1&port=9", &["::1 9"]),
        ("postgres://a,b/d", &["a 5432", "b 5432"]),
        ("postgres://a:1,b:2,[::1]:3/d", &["a 1", "b 2", "::1 3"]),
        ("postgres://a,b:2/d", &["a 5432", "b 2"]),
        ("postgres:///d?host=a,b&port=1,2", &["a 1", "b 2"]),
        ("postgres:///d?host=a,b&port=7", &["a 7", "b 7"]),
        ("postgres://u:p@a,b/d?target_session_attrs=read-write", &["a 5432", "b 5432"]),
    ] {
        let found: Vec<String> = servers(url).iter().map(place).collect();
        assert_eq!(found, expected, "{url}");
    }
}

#[test]
fn names_are_decoded_as_libpq_decodes_them() {
    for (url, user, database) in [
        ("postgres://u:p@h/d", "u", Some("d")),
        ("postgres://a%40b:p@h/d%2Fe", "a@b", Some("d/e")),
        ("postgres://a+b@h/d", "a+b", Some("d")),
        ("postgres://user@server:p@h/d", "user@server", Some("d")),
        ("postgres://u:p?q#r@h/d", "u", Some("d")),
        ("postgres://u:p@q@h/d", "u", Some("d")),
        ("postgres://u:p@h/d?user=v&dbname=e", "v", Some("e")),
        ("postgres://h/?user=a@b", "a@b", None),
        ("postgres://u:p@h/", "u", None),
    ] {
        let options = only(url);
        assert_eq!((options.get_username(), options.get_database()), (user, database), "{url}");
        assert_eq!(place(&options), "h 5432", "{url}");
    }
}

#[test]
fn a_password_is_taken_whole() {
    for url in [
        "postgres://u:a%2Fb%3Fc+d@h/d",
        "postgres://u:a%2Fb?c+d@h/d",
        "postgres://u@h/d?password=a/b?c+d",
        "postgres://h/d?user=u&password=a%2Fb%3Fc%2Bd",
    ] {
        // The options do not show a password otherwise.
        let shown = sqlx::ConnectOptions::to_url_lossy(&only(url)).to_string();
        assert!(shown.contains(":a%2Fb%3Fc%2Bd@"), "{url}: {shown}");
    }
}

#[test]
fn parameters_take_effect() {
    let options = only("postgres://h/d?application_name=mine&options=-c%20work_mem=1MB");
    assert_eq!(options.get_application_name(), Some("mine"));
    assert_eq!(options.get_options(), Some("-c work_mem=1MB"));
    let named = "postgres://h/d?fallback_application_name=";
    assert_eq!(only(&format!("{named}a")).get_application_name(), Some("a"));
    let both = format!("{named}a&application_name=b");
    assert_eq!(only(&both).get_application_name(), Some("b"));

    for (text, expected) in
        [("", None), ("0", None), ("-1", None), ("2", Some(Duration::from_secs(2)))]
    {
        let target = Target::of(&format!("postgres://h/d?connect_timeout={text}")).unwrap();
        assert_eq!(target.connect_timeout, expected, "{text}");
    }
}

#[test]
fn encryption_is_what_libpq_makes_of_it() {
    for (query, expected) in [
        ("sslmode=disable", PgSslMode::Disable),
        ("sslmode=allow", PgSslMode::Prefer),
        ("sslmode=prefer", PgSslMode::Prefer),
        ("sslmode=require", PgSslMode::Require),
        ("ssl=true", PgSslMode::Require),
        ("ssl-mode=require", PgSslMode::Require),
        ("sslmode=verify-ca&sslrootcert=/ca", PgSslMode::VerifyCa),
        ("sslmode=require&sslrootcert=/ca", PgSslMode::VerifyCa),
        ("sslmode=verify-full&sslcert=/c&sslkey=/k", PgSslMode::VerifyFull),
        ("sslrootcert=system", PgSslMode::VerifyFull),
        ("sslrootcert=system&sslmode=verify-full", PgSslMode::VerifyFull),
    ] {
        let mode = only(&format!("postgres://h/d?{query}")).get_ssl_mode();
        assert_eq!(format!("{mode:?}"), format!("{expected:?}"), "{query}");
    }
}

#[test]
fn what_is_done_anyway_may_be_asked_for() {
    for query in [
        "channel_binding=prefer",
        "channel_binding=disable",
        "target_session_attrs=any",
        "target_session_attrs=primary",
        "gssencmode=prefer",
        "sslnegotiation=postgres",
        "client_encoding=utf8",
        "load_balance_hosts=disable",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3",
        "tcp_user_timeout=10000",
        "ssl_min_protocol_version=TLSv1.2",
        "sslcompression=0",
        "requirepeer=",
        "&&",
    ] {
        assert_eq!(place(&only(&format!("postgres://h/d?{query}"))), "h 5432", "{query}");
    }
}

#[test]
fn what_cannot_be_done_is_named_without_its_value() {
    for (query, expected) in [
        ("channel_binding=require", "the parameter channel_binding must be disable or prefer"),
        (
            "target_session_attrs=standby",
            "the parameter target_session_attrs must be read-write or primary or any",
        ),
        ("target_session_attrs=CANARY", "must be read-write or primary or any"),
        ("gssencmode=require", "the parameter gssencmode must be disable or prefer"),
        ("sslnegotiation=direct", "the parameter sslnegotiation must be postgres"),
        ("requirepeer=CANARY", "the parameter requirepeer is not supported"),
        ("require_auth=CANARY", "the parameter require_auth is not supported"),
        ("passfile=/CANARY", "passfile is not supported; name the file in"),
        ("service=CANARY", "the parameter service is not supported"),
        ("sslpassword=CANARY", "the parameter sslpassword is not supported; keep the key"),
        ("sslcrl=/CANARY", "the parameter sslcrl is not supported"),
        ("pgbouncer=true", "pgbouncer is not supported; set database.pooler"),
        ("sslmode=CANARY", "the parameter sslmode must be disable, allow, prefer, require,"),
        ("sslrootcert=system&sslmode=require", "must be verify-full where sslrootcert is system"),
        ("sslcert=/CANARY", "the parameter sslkey must be set beside sslcert"),
        ("sslkey=/CANARY", "the parameter sslcert must be set beside sslkey"),
        ("connect_timeout=CANARY", "the parameter connect_timeout must be a whole number"),
        ("keepalives_idle=CANARY", "the parameter keepalives_idle must be a whole number"),
        ("port=CANARY", "a port must be a whole number from 1 to 65535"),
        ("port=1,2", "the parameter port must be one for all hosts, or one for each"),
        ("hostaddr=CANARY", "the parameter hostaddr must be an IP address"),
        ("hostaddr=192.0.2.1,192.0.2.2", "the parameter hostaddr must be one for each host"),
        (
            "hostaddr=192.0.2.1&sslmode=verify-full",
            "hostaddr is not supported beside host with sslmode=verify-full",
        ),
        ("passwort=CANARY", "unknown parameter passwort"),
        ("application_name=%zz", "write a % that stands for itself as %25"),
    ] {
        let text = refusal(&format!("postgres://u:CANARY@h/d?{query}"));
        assert!(text.starts_with("database.url: ") && text.contains(expected), "{query}: {text}");
        assert!(!text.contains("CANARY"), "{query}: {text}");
    }
}

#[test]
fn a_password_that_is_not_encoded_shows_in_no_refusal() {
    for url in [
        "postgres://u:CANARY/CANARY@h/d",
        "postgres://u:1/CANARY@h/d",
        "postgres://u:1/x?CANARY=y@h/d",
        "postgres://u:1/x?CANARY@h/d",
        "postgres://CANARY:1/CANARY@h/d",
        "postgres://u:p@h:CANARY/d",
        "postgres://u:p@[CANARY/d",
        "postgres://u:p@[::1]CANARY/d",
        "postgres://u:p@h/d?CANARY",
        "postgres://u:p@h/d?CAN:ARY=1",
        "postgres://u:p@h/d?host=x@CANARY",
        "postgres://u:CANARY%zz@h/d",
        "postgres://u:CANARY%ff@h/d",
        "postgres://u:p@h:0/d",
    ] {
        let text = refusal(url);
        assert!(text.starts_with("database.url"), "{url}: {text}");
        assert!(!text.contains("CANARY") && !text.contains("ARY"), "{url}: {text}");
    }
    assert!(refusal("postgres://u:p@::1/d").contains("in brackets, as in [::1]"));
}
