//! The forms that values take: one constant each, with the words that say what was expected.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::http::uri::Authority;

use crate::config::{LogFormat, LogLevel, Pooler};
use crate::model::quota::{Mode, Scope};
use crate::model::{AppOnly, Secret};

/// A value's form: how to read it, and what to say when that fails.
pub struct Form<T> {
    pub expected: &'static str,
    pub parse: fn(&str) -> Option<T>,
}

/// A port alone and `localhost` are this machine's: nobody opens a listener to others by leaving its address out.
pub const ADDRESS: Form<SocketAddr> = Form {
    expected: "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080; a port alone and localhost mean 127.0.0.1",
    parse: |text| match text.rsplit_once(':').unwrap_or(("localhost", text)) {
        (host, port) if host.eq_ignore_ascii_case("localhost") => {
            let is_number = port.bytes().all(|c| c.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|_| is_number)?;
            Some((Ipv4Addr::LOCALHOST, port).into())
        }
        _ => text.parse().ok(),
    },
};

pub const WORKERS: Form<usize> =
    Form { expected: "a whole number from 0 to 1024", parse: whole::<_, 0, 1024> };

pub const COUNT: Form<usize> =
    Form { expected: "a whole number from 1 to 4294967295", parse: whole::<_, 1, { u32::MAX }> };

pub const CACHE_SIZE: Form<u64> =
    Form { expected: "a whole number from 0 to 4294967295", parse: whole::<_, 0, { u32::MAX }> };

pub const KEY_LINKS: Form<u32> =
    Form { expected: "a whole number from 1 to 1000000", parse: whole::<_, 1, 1_000_000> };

pub const QUESTION_POSTS: Form<usize> =
    Form { expected: "a whole number from 1 to 100000", parse: whole::<_, 1, 100_000> };

pub const QUESTION_DAYS: Form<u16> =
    Form { expected: "a whole number from 1 to 4000", parse: whole::<_, 1, 4000> };

pub const QUESTION_CALLS: Form<usize> =
    Form { expected: "a whole number from 1 to 1000", parse: whole::<_, 1, 1000> };

pub const QUESTION_NUMBERS: Form<u64> =
    Form { expected: "a whole number from 1 to 4294967295", parse: whole::<_, 1, { u32::MAX }> };

/// The minimum holds the upstream's largest answer, both compressed and decompressed.
pub const ANSWER_MEMORY: Form<usize> = Form {
    expected: "a whole number of bytes, at least 33554432",
    parse: whole::<_, { 32 << 20 }, { u32::MAX }>,
};

pub const DATABASE_CONNECTIONS: Form<u32> =
    Form { expected: "a whole number from 1 to 1000", parse: whole::<_, 1, 1000> };

/// The HTTP server's buffer cannot be smaller.
pub const HEADER_BYTES: Form<usize> = Form {
    expected: "a whole number of bytes, at least 8192",
    parse: whole::<_, 8192, { u32::MAX }>,
};

pub const SHARE: Form<f64> = Form {
    expected: "a number from 0 to 1",
    parse: |text| text.parse().ok().filter(|share| (0.0..=1.0).contains(share)),
};

pub const RATE: Form<f64> = Form {
    expected: "a number from 0 to 1000000",
    parse: |text| text.parse().ok().filter(|rate| (0.0..=1_000_000.0).contains(rate)),
};

pub const DURATION: Form<Duration> = Form {
    expected: "a duration above zero and at most 30 days, such as \"250ms\", \"10s\" or \"5m\"",
    parse: |text| duration(text).filter(|duration| !duration.is_zero()),
};

/// For settings that zero turns off.
pub const DURATION_OR_ZERO: Form<Duration> = Form {
    expected: "a duration of at most 30 days, such as \"0s\", \"250ms\", \"10s\" or \"5m\"",
    parse: duration,
};

/// How long a token may be good after its end.
pub const LEEWAY: Form<Duration> = Form {
    expected: "a duration of at most 30 seconds, such as \"30s\" or \"0s\"",
    parse: |text| duration(text).filter(|duration| *duration <= Duration::from_secs(30)),
};

pub const FLAG: Form<bool> = Form { expected: "true or false", parse: |text| text.parse().ok() };

pub const HTTPS_URL: Form<String> = Form {
    expected: "https:// and a host, without user, path or query (http:// needs upstream.allow_http)",
    parse: |text| origin(text).filter(|url| url.starts_with("https:")),
};

pub const ANY_URL: Form<String> =
    Form { expected: "http:// or https:// and a host, without user, path or query", parse: origin };

/// Browsers send cookies and X's answers to this URL, so plain `http` is for this machine only.
pub const PUBLIC_URL: Form<Option<String>> = Form {
    expected: "https:// and a host, without user, path or query (http:// for a loopback address), or nothing",
    parse: |text| {
        if text.is_empty() {
            return Some(None);
        }
        let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
        let url = origin(text)?;
        let is_local = loopback.iter().any(|prefix| {
            url.strip_prefix(prefix).is_some_and(|port| port.is_empty() || port.starts_with(':'))
        });
        (url.starts_with("https:") || is_local).then_some(Some(url))
    },
};

pub const RETURN_TO: Form<Vec<String>> = Form {
    expected: "absolute http:// or https:// URLs, one per entry, without user or fragment, such as https://app.example.com/settings",
    parse: |text| {
        let entries = text.split([',', '\n']).map(|entry| entry.trim_matches([' ', '\t', '\r']));
        let entries = entries.filter(|entry| !entry.is_empty());
        entries.map(|url| is_page_url(url).then(|| url.to_owned())).collect()
    },
};

pub const DATABASE_URL: Form<Secret> = Form {
    expected: "sqlite://<path> or postgres://<user>:<password>@<host>/<database>",
    parse: |text| {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        let rest = known.iter().find_map(|scheme| text.strip_prefix(scheme))?;
        (!rest.trim_matches('/').is_empty() && is_visible(text)).then(|| text.into())
    },
};

pub const POOLER: Form<Pooler> = Form {
    expected: "\"none\", \"session\" or \"transaction\"",
    parse: |text| match text {
        "none" => Some(Pooler::None),
        "session" => Some(Pooler::Session),
        "transaction" => Some(Pooler::Transaction),
        _ => None,
    },
};

pub const CREDENTIAL: Form<Secret> = Form {
    expected: "a credential from X: not empty, without spaces, and not a placeholder",
    parse: |text| (is_visible(text) && !is_placeholder(text)).then(|| text.into()),
};

pub const KEY_ID: Form<String> = Form {
    expected: "the id of an entry in vault.keys, or nothing for the first one",
    parse: |text| (text.is_empty() || is_key_id(text)).then(|| text.to_owned()),
};

pub const APP_ONLY: Form<AppOnly> = Form {
    expected: "\"bearer\" or \"two_legged\"",
    parse: |text| match text {
        "bearer" => Some(AppOnly::Bearer),
        "two_legged" => Some(AppOnly::TwoLegged),
        _ => None,
    },
};

pub const ACCOUNT_LIMIT: Form<u64> =
    Form { expected: "a whole number from 1 to 4294967295", parse: whole::<_, 1, { u32::MAX }> };

/// Calls in a minute or a second.
pub const CALLS: Form<u32> =
    Form { expected: "a whole number from 1 to 4294967295", parse: whole::<_, 1, { u32::MAX }> };

pub const QUOTA_SCOPE: Form<Scope> =
    Form { expected: "\"app\", \"app+kind\" or \"app+kind+endpoint\"", parse: Scope::from_name };

pub const QUOTA_MODE: Form<Mode> =
    Form { expected: "\"enforce\" or \"observe\"", parse: Mode::from_name };

/// Whether calls over the limit are refused.
pub const OVER_LIMIT: Form<bool> = Form {
    expected: "\"warn\" or \"refuse\"",
    parse: |text| match text {
        "warn" => Some(false),
        "refuse" => Some(true),
        _ => None,
    },
};

pub const LOG_FORMAT: Form<LogFormat> = Form {
    expected: "\"human\" or \"json\"",
    parse: |text| match text {
        "human" => Some(LogFormat::Human),
        "json" => Some(LogFormat::Json),
        _ => None,
    },
};

pub const LOG_LEVEL: Form<LogLevel> = Form {
    expected: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    parse: |text| match text {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        _ => None,
    },
};

/// Reads an address to listen on, as settings have it.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    (ADDRESS.parse)(text.trim()).ok_or_else(|| format!("expected {}", ADDRESS.expected))
}

/// Whether `text` can name a vault key: 8 of `a-z` and `0-9`.
pub fn is_key_id(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn whole<T: TryFrom<u32>, const MIN: u32, const MAX: u32>(text: &str) -> Option<T> {
    let number = text.parse::<u32>().ok().filter(|number| (MIN..=MAX).contains(number))?;
    T::try_from(number).ok()
}

/// The cap keeps every sum of an instant and a duration in range.
fn duration(text: &str) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_hours(30 * 24);
    humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST)
}

/// Scheme and authority as signatures need them: in lower case and without the scheme's own port (RFC 5849,
/// 3.4.1.2). One trailing slash is removed.
fn origin(text: &str) -> Option<String> {
    let url = text.strip_suffix('/').unwrap_or(text);
    let (scheme, rest) = url.split_once("://")?;
    let own_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority: Authority = rest.parse().ok()?;
    let host = authority.host();
    let spelled = match authority.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    // User info, or a port that is not a number, would be missing from the parsed parts.
    let understood = spelled == rest && !host.is_empty();
    let named = if authority.port_u16() == Some(own_port) { host } else { &spelled };
    understood.then(|| format!("{scheme}://{}", named.to_ascii_lowercase()))
}

/// Whether every URL parser reads it the same way: a plain host, and after it only what RFC 3986 allows.
fn is_page_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let spelled: Option<Authority> = authority.parse().ok();
    spelled.is_some_and(|authority| is_host(authority.host()))
        && origin(&format!("https://{authority}")).is_some()
        && is_target(target)
}

/// Whether it is a path and query without parts that browsers rewrite.
fn is_target(target: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:@/?%".contains(&c);
    let is_byte = |code: &str| {
        code.get(..2).is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
    };
    let path = target.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let climbs = path.replace("%2e", ".").split('/').any(|segment| matches!(segment, "." | ".."));
    target.bytes().all(is_allowed) && target.split('%').skip(1).all(is_byte) && !climbs
}

/// Whether it is a name or an address that browsers keep as written.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let parsed = address.parse::<Ipv6Addr>().ok();
        return parsed.is_some_and(|parsed| parsed.to_string() == address)
            && !address.contains('.');
    }
    let is_label = |label: &str| {
        let plain = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        !label.is_empty() && plain
    };
    // A name that ends in a number is read as an address, which has several spellings.
    let is_number = host
        .rsplit('.')
        .next()
        .is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit()));
    host.split('.').all(is_label) && (!is_number || host.parse::<Ipv4Addr>().is_ok())
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic())
}

fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let starts = ["changeme", "change-me", "change_me", "xxx", "your-", "your_", "<", "..."];
    let whole = ["todo", "secret", "example", "placeholder", "replace-me"];
    starts.iter().any(|start| text.starts_with(start)) || whole.contains(&&*text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_scheme_and_an_authority() {
        let good = ["https://api.twitter.com", "http://127.0.0.1:9000", "https://[::1]:8443"];
        for url in good {
            assert_eq!(origin(url).as_deref(), Some(url));
            assert_eq!(origin(&format!("{url}/")).as_deref(), Some(url), "one slash is removed");
        }
        let bad = [
            "",
            "https://",
            "ftp://a",
            "a.com",
            "https://a/b",
            "https://a//",
            "https://a?b",
            "https://a#b",
        ];
        let odd = [
            "https://u@a",
            "https://u:p@a",
            "https://a:99999",
            "https://a:",
            "https://a b",
            "https://:80",
        ];
        for url in bad.iter().chain(&odd) {
            assert_eq!(origin(url), None, "{url}");
        }
    }

    #[test]
    fn a_url_is_understood_as_signatures_want_it() {
        for (written, understood) in [
            ("https://Data-API.Twitter.com", "https://data-api.twitter.com"),
            ("https://a:443/", "https://a"),
            ("http://a:80", "http://a"),
            ("https://a:80", "https://a:80"),
            ("http://a:443", "http://a:443"),
        ] {
            assert_eq!(origin(written).as_deref(), Some(understood), "{written}");
        }
    }

    #[test]
    fn durations_are_bounded() {
        assert_eq!((DURATION.parse)("250ms"), Some(Duration::from_millis(250)));
        assert_eq!((DURATION.parse)("0s"), None);
        assert_eq!((DURATION_OR_ZERO.parse)("0s"), Some(Duration::ZERO));
        for wrong in ["", "10", "-1s", "31d", "1e9s", "999999999999y"] {
            assert_eq!((DURATION_OR_ZERO.parse)(wrong), None, "{wrong}");
        }
    }
}
