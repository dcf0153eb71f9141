//! What the program said and stored, and the search for secrets in it: as they are, and in every encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::database::{Database, Kind};
use crate::http::Ask;
use crate::program::deployment::Output;

/// A secret in every encoding that gives it away.
pub struct Canary {
    pub name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    pub fn new(name: &str, secret: &str) -> Canary {
        assert!(secret.len() >= 16, "{name} is too short to be told from noise");
        let bytes = secret.as_bytes();
        let hex = written(bytes, |byte| format!("{byte:02x}"));
        let percent = written(bytes, |byte| format!("%{byte:02X}"));
        let spare = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let escaped: String =
            bytes
                .iter()
                .map(|byte| {
                    if spare(*byte) {
                        char::from(*byte).to_string()
                    } else {
                        format!("%{byte:02X}")
                    }
                })
                .collect();
        let debug = written(bytes, |byte| format!("{byte}, "));
        let mut forms = vec![
            ("raw", bytes.to_vec()),
            ("hex", hex.clone().into_bytes()),
            ("upper hex", hex.to_uppercase().into_bytes()),
            ("percent", percent.clone().into_bytes()),
            ("lower percent", percent.to_lowercase().into_bytes()),
            ("escaped", escaped.into_bytes()),
            ("list of bytes", debug.trim_end_matches(", ").as_bytes().to_vec()),
            ("reversed", bytes.iter().rev().copied().collect()),
        ];
        for phase in 0..3 {
            forms.push((
                "base64",
                middle(&STANDARD.encode([&vec![0; phase], bytes].concat()), phase, bytes.len()),
            ));
            forms.push((
                "base64url",
                middle(&URL_SAFE.encode([&vec![0; phase], bytes].concat()), phase, bytes.len()),
            ));
        }
        Canary { name: name.to_owned(), forms }
    }

    /// The encoding in which `bytes` contain it, if they do.
    pub fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        let found = self.forms.iter().find(|(_, form)| contains(bytes, form));
        found.map(|form| form.0)
    }
}

/// Everything that the program printed or stored, by place.
#[derive(Default)]
pub struct Seen(pub Vec<(String, Vec<u8>)>);

impl Seen {
    pub fn add(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.to_owned(), bytes.into()));
    }

    pub fn output(&mut self, place: &str, done: Output) {
        self.add(&format!("{place}: stdout"), done.out);
        self.add(&format!("{place}: stderr"), done.err);
    }

    pub async fn ask(&mut self, ask: Ask) {
        let Ok(answer) = ask.try_send().await else { return };
        let text = answer.text();
        self.add("an answer", format!("{:?}\n{text}", answer.headers));
        self.add("an answer as sent", answer.raw);
    }

    /// The content of the database, as a thief would find it.
    pub async fn database(&mut self, database: &Database) {
        if database.kind == Kind::Sqlite {
            let files: Vec<_> = std::fs::read_dir(database.folder())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            assert!(!files.is_empty());
            for file in files {
                self.add(&file.display().to_string(), std::fs::read(&file).unwrap());
            }
            return;
        }
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let tables = [
            "account",
            "key",
            "bearer",
            "audit",
            "change",
            "link",
            "handshake",
            "webhook",
            "delivery",
            "schema_version",
        ];
        for table in tables {
            let sql = AssertSqlSafe(format!("select entry::text from {table} entry"));
            let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap();
            let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert!(table == "change" || !rows.is_empty(), "{table} is empty");
            self.add(table, rows.join("\n"));
        }
    }
}

fn written(bytes: &[u8], write: impl Fn(u8) -> String) -> String {
    bytes.iter().map(|byte| write(*byte)).collect::<Vec<_>>().concat()
}

/// The digits that depend on the secret alone, whatever surrounds it.
fn middle(text: &str, phase: usize, length: usize) -> Vec<u8> {
    let start = (phase * 8).div_ceil(6);
    let end = (phase + length) * 8 / 6;
    text.as_bytes()[start..end].to_vec()
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    let Some((first, rest)) = form.split_first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

#[test]
fn what_is_planted_is_found() {
    let secret = "Th1s+is/a_secret~of=some length";
    let canary = Canary::new("planted", secret);
    let bytes = secret.as_bytes();
    let hex = written(bytes, |byte| format!("{byte:02x}"));
    let percent = written(bytes, |byte| format!("%{byte:02X}"));
    let mut plants = vec![
        secret.as_bytes().to_vec(),
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        percent.clone().into_bytes(),
        percent.to_lowercase().into_bytes(),
        b"Th1s%2Bis%2Fa_secret~of%3Dsome%20length".to_vec(),
        format!("{bytes:?}").into_bytes(),
    ];
    for before in ["", "a", "ab", "abc", "Basic key:", "longer:"] {
        for after in ["", "z", "yz", "xyz"] {
            let text = format!("{before}{secret}{after}");
            plants.push(STANDARD.encode(&text).into_bytes());
            plants.push(URL_SAFE.encode(&text).into_bytes());
            plants.push(STANDARD.encode(&text).trim_end_matches('=').as_bytes().to_vec());
        }
    }
    for plant in plants {
        let around = [b"{\"log\":\"Th1s+is/a_secret", &*plant, b"\n\"}\0\xff"].concat();
        assert!(canary.found_in(&around).is_some(), "{}", String::from_utf8_lossy(&plant));
    }
    for innocent in ["", "Th1s+is/a_secret~of=some", "is/a_secret~of=some length", &hex[2..]] {
        assert_eq!(canary.found_in(innocent.as_bytes()), None, "{innocent}");
    }
}
