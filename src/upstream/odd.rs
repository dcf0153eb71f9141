//! Answers that cannot be X's, such as a proxy's error page, described in words that can be logged.

use hyper::http::HeaderValue;

use crate::upstream::Error;

/// How far into a page its title is searched for.
const HEAD_BYTES: usize = 16 * 1024;
const LONGEST_WORDS: usize = 80;

/// Refuses the body of a success that is not a JSON object, as all X's answers with numbers are. The start of a long one is enough.
pub(super) fn require_object(
    content_type: Option<&HeaderValue>,
    start: &[u8],
    length: usize,
) -> Result<(), Error> {
    let first = start.trim_ascii_start().first();
    if matches!(first, None | Some(b'{')) {
        return Ok(());
    }
    Err(Error::Odd(describe(content_type, start, length)))
}

/// The body's type, length and title, and nothing else.
fn describe(content_type: Option<&HeaderValue>, start: &[u8], length: usize) -> String {
    let content_type =
        content_type.map(|value| printable(&String::from_utf8_lossy(value.as_bytes())));
    let content_type = content_type.unwrap_or_else(|| "no content type".to_owned());
    let title = title(start).map(|title| format!(", titled {title:?}")).unwrap_or_default();
    format!("{content_type}, {length} bytes{title}")
}

fn title(text: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(text.get(..HEAD_BYTES).unwrap_or(text));
    // Lower-casing only ASCII keeps every offset.
    let lower = head.to_ascii_lowercase();
    let tag = lower.find("<title")?;
    let begin = tag + lower.get(tag..)?.find('>')? + 1;
    let length = lower.get(begin..)?.find('<')?;
    Some(printable(head.get(begin..begin + length)?)).filter(|title| !title.is_empty())
}

/// Letters, digits and ASCII signs, on one line.
fn printable(text: &str) -> String {
    let is_plain = |c: &char| c.is_alphanumeric() || c.is_ascii_graphic() || *c == ' ';
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(is_plain).take(LONGEST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_an_answer_with_numbers() {
        let is_refused = |text: &[u8]| require_object(None, text, text.len()).is_err();
        for text in ["<html>", "[]", "7", "null", "\"a\"", "OK", "\u{feff}{}"] {
            assert!(is_refused(text.as_bytes()), "{text}");
        }
        assert!(!is_refused(b" \n{\"a\":1}") && !is_refused(b""));
    }

    #[test]
    fn a_page_is_told_by_type_length_and_title_alone() {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        for (text, title) in [
            (
                "<html><TITLE lang=en>\n Sign  in\r\n\u{1b}[31m\u{202e} </TITLE>secret",
                "Sign in [31m",
            ),
            ("<title></title>secret", ""),
            ("<title>secret", ""),
            ("<title", ""),
            ("secret", ""),
        ] {
            let description = describe(Some(&html), text.as_bytes(), text.len());
            let title =
                if title.is_empty() { String::new() } else { format!(", titled \"{title}\"") };
            let length = text.len();
            assert_eq!(description, format!("text/html; charset=utf-8, {length} bytes{title}"));
        }
        let long = format!("<title>{}</title>", "x".repeat(1000));
        assert!(describe(None, long.as_bytes(), long.len()).len() < 150);
    }
}
