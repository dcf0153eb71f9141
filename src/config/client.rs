//! How to reach a running gateway: its URL and the key to use.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::variables::trimmed;
use crate::config::{Client, Errors, Problem, form};
use crate::model::Secret;
use crate::model::key::{Kind, Presented};

/// Where `serve` and `demo` listen by default.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
const URL: &str = "COUNTERSIGN_URL";
const KEY: &str = "COUNTERSIGN_KEY";
const KEY_FILE: &str = "COUNTERSIGN_KEY_FILE";

/// The client settings from `environment`, overridden by the command line's `url`. `read` reads the key's file.
pub fn parse_client(
    url: Option<&str>,
    environment: &BTreeMap<String, String>,
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Client, Errors> {
    let mut problems = Vec::new();
    let url = read_url(url, environment).map_err(|problem| problems.push(problem));
    let key = read_key(environment, read).map_err(|problem| problems.push(problem));
    match (url, key) {
        (Ok(url), Ok(key)) => Ok(Client { url, key }),
        _ => Err(Errors(problems)),
    }
}

fn read_url(
    given: Option<&str>,
    environment: &BTreeMap<String, String>,
) -> Result<String, Problem> {
    let (key, origin, text) = match (given, set(environment, URL)) {
        (Some(text), _) => ("--url", "command line", text),
        (None, Some(text)) => (URL, "environment", text),
        (None, None) => return Ok(DEFAULT_URL.to_owned()),
    };
    let form = &form::ANY_URL;
    (form.parse)(text).ok_or_else(|| problem(key, origin, &format!("expected {}", form.expected)))
}

fn read_key(
    environment: &BTreeMap<String, String>,
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Secret, Problem> {
    let in_environment = |name, detail: &str| problem(name, "environment", detail);
    let (name, text) = match (set(environment, KEY), set(environment, KEY_FILE)) {
        (Some(_), Some(_)) => {
            let detail = format!("expected either this or {KEY}, not both");
            return Err(in_environment(KEY_FILE, &detail));
        }
        (Some(text), None) => (KEY, Secret::from(text)),
        (None, Some(path)) => match read(Path::new(path)) {
            Ok(text) => (KEY_FILE, Secret::from(trimmed(Secret::new(text).expose()))),
            Err(detail) => {
                return Err(in_environment(KEY_FILE, &format!("the file {detail}")));
            }
        },
        (None, None) => {
            let detail = format!(
                "missing; set it to a key from `countersign key create`, or set {KEY_FILE} to a file that holds one. There is no option for it, since other users can see a program's arguments"
            );
            return Err(in_environment(KEY, &detail));
        }
    };
    match Presented::parse(text.expose()) {
        Some(key) if key.kind == Kind::Caller => Ok(text),
        Some(_) => {
            let detail =
                "expected a caller's key, csk_…; this is an admin key, for the operators' API";
            Err(in_environment(name, detail))
        }
        None => {
            let detail = "expected a complete key, csk_…, as `countersign key create` prints it";
            Err(in_environment(name, detail))
        }
    }
}

/// The value of a variable; an empty one counts as not set.
fn set<'a>(environment: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    environment.get(name).map(|text| trimmed(text)).filter(|text| !text.is_empty())
}

fn problem(key: &str, origin: &str, detail: &str) -> Problem {
    Problem { key: key.to_owned(), origin: origin.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::key::{RANDOM_LENGTH, compose};

    fn key(kind: Kind) -> String {
        compose(kind, &[b'7'; RANDOM_LENGTH]).1.expose().to_owned()
    }

    fn parse(url: Option<&str>, set: &[(&str, &str)]) -> Result<Client, String> {
        let environment = set.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let read = |path: &Path| match path.to_str() {
            Some("good") => Ok(format!("\u{feff}{}\r\n", key(Kind::Caller))),
            _ => Err("cannot be read: it is not there".to_owned()),
        };
        parse_client(url, &environment.collect(), &read).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_key_comes_from_the_environment_or_a_file_and_the_url_may_be_an_option() {
        let key = key(Kind::Caller);
        let client = parse(None, &[(KEY, &key)]).ok().unwrap();
        assert_eq!((&*client.url, client.key.expose()), (DEFAULT_URL, &*key));
        let client = parse(
            None,
            &[(KEY_FILE, "good\n"), (KEY, "\n"), (URL, "\u{feff}https://Gate:443/\r\n")],
        );
        let client = client.ok().unwrap();
        assert_eq!((&*client.url, client.key.expose()), ("https://gate", &*key));
        let client = parse(Some("http://b:1"), &[(KEY, &key), (URL, "nonsense")]).ok().unwrap();
        assert_eq!(client.url, "http://b:1");
    }

    #[test]
    fn the_default_url_is_that_of_the_default_listener() {
        let settings = config::parse(None, &BTreeMap::new(), &|_| Err(String::new()));
        let listen = settings.map_err(|errors| errors.to_string()).unwrap().server.listen;
        assert_eq!(DEFAULT_URL, format!("http://{listen}"));
    }

    #[test]
    fn all_problems_are_reported_at_once_and_no_value_is_shown() {
        let (caller, admin) = (key(Kind::Caller), key(Kind::Admin));
        let cut = &caller[..caller.len() - 1];
        for (set, expected) in [
            (&[][..], "COUNTERSIGN_KEY (environment): missing; set it to a key"),
            (&[(KEY, cut)], "COUNTERSIGN_KEY (environment): expected a complete key"),
            (&[(KEY, &*admin)], "this is an admin key"),
            (&[(KEY, &*caller), (KEY_FILE, "good")], "either this or COUNTERSIGN_KEY, not both"),
            (&[(KEY_FILE, "bad")], "COUNTERSIGN_KEY_FILE (environment): the file cannot be read"),
        ] {
            let text = parse(Some("gate"), set).err().unwrap();
            assert!(text.starts_with("--url (command line): expected http"), "{text}");
            assert!(text.contains(expected) && text.lines().count() == 2, "{text}");
            assert!(!text.contains("77777"), "{text}");
        }
        let text = parse(None, &[(KEY, &caller), (URL, "http://u:canary@gate")]).err().unwrap();
        assert!(text.starts_with("COUNTERSIGN_URL (environment): expected http"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
