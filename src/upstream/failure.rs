//! The errors of an answer, in whichever of the upstream's forms (reference 4): texts, objects with codes, or XML.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Empty for a body of any other form.
#[derive(Default, Deserialize)]
pub(super) struct Failure {
    #[serde(default)]
    errors: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Coded {
        code: Option<i64>,
        #[serde(default)]
        message: String,
    },
    Other(IgnoredAny),
}

impl Failure {
    pub(super) fn read(text: &[u8]) -> Failure {
        match text.trim_ascii_start().first() {
            Some(b'<') => Failure { errors: elements(&String::from_utf8_lossy(text)).collect() },
            _ => serde_json::from_slice(text).unwrap_or_default(),
        }
    }

    pub(super) fn has_code(&self, wanted: i64) -> bool {
        self.codes().any(|code| code == wanted)
    }

    pub(super) fn codes(&self) -> impl Iterator<Item = i64> {
        self.errors.iter().filter_map(|error| match error {
            Item::Coded { code, .. } => *code,
            _ => None,
        })
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().filter_map(|error| match error {
            Item::Text(text) | Item::Coded { message: text, .. } => Some(&**text),
            Item::Other(_) => None,
        })
    }

    /// Whether any text contains these words, given in lower case.
    pub(super) fn says(&self, words: &str) -> bool {
        self.texts().any(|text| text.to_ascii_lowercase().contains(words))
    }
}

/// Each `<error code="415">…</error>`, wherever it stands. X's XML is so plain that no other syntax matters.
fn elements(xml: &str) -> impl Iterator<Item = Item> {
    xml.split("<error").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        // `<errors>` begins with the same letters.
        let is_error = attributes.is_empty() || attributes.starts_with(char::is_whitespace);
        let (text, _) = rest.split_once("</error>").filter(|_| is_error)?;
        Some(Item::Coded { code: code(attributes), message: unescaped(text.trim()) })
    })
}

fn code(attributes: &str) -> Option<i64> {
    let (_, rest) = attributes.split_once("code=")?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest.split(quote).nth(1)?.trim().parse().ok()
}

fn unescaped(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let plain = entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (Vec<i64>, Vec<String>) {
        let failure = Failure::read(body.as_bytes());
        (failure.codes().collect(), failure.texts().map(str::to_owned).collect())
    }

    #[test]
    fn errors_are_read_from_json_and_from_xml() {
        let declared = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        for (body, codes, texts) in [
            (
                r#"{"errors":[{"code":415,"message":"Not & approved"}]}"#,
                &[415][..],
                &["Not & approved"][..],
            ),
            (
                r#"{"errors":["Not approved",{"message":"no code"},7]}"#,
                &[],
                &["Not approved", "no code"],
            ),
            (
                r#"<errors><error code="415">Not &amp; approved</error></errors>"#,
                &[415],
                &["Not & approved"],
            ),
            (
                "<errors>\n <error code='32'>a</error>\n <error code='89'> b </error>\n</errors>",
                &[32, 89],
                &["a", "b"],
            ),
            (
                "<hash><error>Only &apos;oob&apos;</error><request>/oauth</request></hash>",
                &[],
                &["Only 'oob'"],
            ),
            (r#"<error code="415"/>"#, &[], &[]),
            (r#"<error code="x">a</error>"#, &[], &["a"]),
            (r#"<errors code="415">a</error>"#, &[], &[]),
            (r#"<error code="415">a"#, &[], &[]),
            ("<html><body>error code=\"415\"</body></html>", &[], &[]),
            ("<error", &[], &[]),
            ("<error code=\"", &[], &[]),
            ("<", &[], &[]),
            ("", &[], &[]),
            ("error", &[], &[]),
        ] {
            for before in ["", " \r\n", declared] {
                if before == declared && !body.starts_with('<') {
                    continue;
                }
                let (found, said) = read(&format!("{before}{body}"));
                assert_eq!(
                    (&*found, &*said),
                    (codes, &*texts.iter().map(ToString::to_string).collect::<Vec<_>>()),
                    "{body}"
                );
            }
        }
    }
}
