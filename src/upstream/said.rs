//! What X says when it refuses a call, in the words that the reference has for it (reference 4.1, 4.3, 6.8): X's own
//! text could hold what nobody should keep.

use std::borrow::Cow;

use crate::model::call::Said;
use crate::upstream::failure::Failure;

/// Texts without a code, with `…` for what varies.
const TEXTS: [&str; 14] = [
    "This request requires gzip compression. …",
    "… Tweet ID(s) are unavailable",
    "Forbidden to access tweets for author id …",
    "Forbidden to access tweets: …",
    "Forbidden to access metrics: …",
    "Your account could not be authenticated. Reason: Access token not found",
    "Your account could not be authenticated. Reason: Unknown Authorization Type",
    "… your application id is not authorized…",
    "One or more of the groupBys you have specified are not supported: …",
    "Unrecognized token …",
    "…: field is required",
    "…: size … is not between …",
    "… rate limit…",
    "Internal server error",
];

/// Texts with their codes.
const CODED: [(u16, &str); 19] = [
    (32, "Could not authenticate you"),
    (34, "Sorry, that page does not exist"),
    (64, "Your account is suspended and is not permitted to access this feature"),
    (87, "Client is not permitted to perform this action"),
    (88, "Rate limit exceeded"),
    (89, "Invalid or expired token"),
    (92, "SSL is required"),
    (99, "Unable to verify your credentials"),
    (130, "Over capacity"),
    (131, "Internal error"),
    (135, "Could not authenticate you"),
    (135, "Timestamp out of bounds"),
    (170, "Missing required parameter: grant_type"),
    (215, "Bad Authentication data"),
    (220, "Your credentials do not allow access to this resource"),
    (261, "Your App cannot perform write actions"),
    (
        326,
        "To protect our users from spam and other malicious activity, this account is temporarily locked…",
    ),
    (415, "Callback URL not approved for this client App…"),
    (416, "Invalid / suspended App"),
];

/// What a refusal says first, and in what kind of body.
pub(super) fn said(body: &[u8], length: usize) -> Said {
    let failure = Failure::read(body);
    let first = failure.texts().next();
    let code = failure.codes().next().and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| CODED.iter().any(|(known, _)| known == code));
    let known = first.and_then(|text| known(code, text));
    let text = known.map_or_else(
        || Cow::Owned(format!("unknown text, {} bytes", first.map_or(length, str::len))),
        Cow::Borrowed,
    );
    Said { code, text, form: Cow::Borrowed(form(body, first.is_some())) }
}

fn known(code: Option<u16>, text: &str) -> Option<&'static str> {
    let coded = CODED.iter().filter(|(of, _)| code == Some(*of)).map(|(_, known)| *known);
    let without = TEXTS.iter().copied().filter(|_| code.is_none());
    coded.chain(without).find(|known| matches(known, text))
}

/// Whether a text is the known one, whatever its case and its final dot, and whatever stands for `…`.
fn matches(known: &str, text: &str) -> bool {
    let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let known = known.to_ascii_lowercase();
    let mut pieces = known.split('…').map(str::trim);
    let Some(mut rest) = pieces.next().and_then(|start| text.strip_prefix(start)) else {
        return false;
    };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = if piece.is_empty() { "" } else { after };
    }
    rest.is_empty()
}

/// What kind of body it is, in words.
fn form(body: &[u8], has_errors: bool) -> &'static str {
    let start = body.trim_ascii_start();
    match start.first() {
        None => "nothing",
        Some(b'<') if has_errors => "errors in XML",
        Some(b'<') => "HTML or XML",
        Some(b'{') if has_errors => "errors in JSON",
        Some(b'{' | b'[') => "JSON without errors",
        Some(_) => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_reference_knows_is_kept() {
        for (body, code, text, form) in [
            (
                r#"{"errors":[{"code":89,"message":"Invalid or expired token."}]}"#,
                Some(89),
                "Invalid or expired token",
                "errors in JSON",
            ),
            (
                r#"{"errors":[{"code":89,"message":"secret"}]}"#,
                Some(89),
                "unknown text, 6 bytes",
                "errors in JSON",
            ),
            (
                r#"{"errors":[{"code":-7,"message":"Invalid or expired token"}]}"#,
                None,
                "unknown text, 24 bytes",
                "errors in JSON",
            ),
            (
                r#"{"errors":["Forbidden to access tweets: 12, 34"]}"#,
                None,
                "Forbidden to access tweets: …",
                "errors in JSON",
            ),
            (
                r#"{"errors":["Forbidden to access tweets for author id 7: 34"]}"#,
                None,
                "Forbidden to access tweets for author id …",
                "errors in JSON",
            ),
            (
                r#"{"errors":["Sorry, Your application id is not authorized. secret"]}"#,
                None,
                "… your application id is not authorized…",
                "errors in JSON",
            ),
            (
                r#"{"errors":["3 Tweet ID(s) are unavailable"]}"#,
                None,
                "… Tweet ID(s) are unavailable",
                "errors in JSON",
            ),
            (
                r#"{"errors":["tweet_ids: size [251] is not between 1 and 250"]}"#,
                None,
                "…: size … is not between …",
                "errors in JSON",
            ),
            (
                r#"{"errors":["internal server error"]}"#,
                None,
                "Internal server error",
                "errors in JSON",
            ),
            (
                r#"{"errors":["internal server error: secret"]}"#,
                None,
                "unknown text, 29 bytes",
                "errors in JSON",
            ),
            (
                r#"<errors><error code="415">Callback URL not approved for this client App. More.</error></errors>"#,
                Some(415),
                "Callback URL not approved for this client App…",
                "errors in XML",
            ),
            (
                r#"{"errors":[{"code":4711,"message":"secret"}]}"#,
                None,
                "unknown text, 6 bytes",
                "errors in JSON",
            ),
            ("<html>secret", None, "unknown text, 12 bytes", "HTML or XML"),
            (r#"{"secret":1}"#, None, "unknown text, 12 bytes", "JSON without errors"),
            ("secret", None, "unknown text, 6 bytes", "text"),
            ("", None, "unknown text, 0 bytes", "nothing"),
        ] {
            let found = said(body.as_bytes(), body.len());
            assert_eq!((found.code, &*found.text, &*found.form), (code, text, form), "{body}");
        }
    }

    #[test]
    fn every_known_text_is_found_as_itself() {
        for text in TEXTS {
            let sample = text.replace('…', "x");
            assert_eq!(known(None, &sample), Some(text), "{sample}");
        }
        for (code, text) in CODED {
            let sample = format!("{}.", text.replace('…', "x"));
            assert_eq!(known(Some(code), &sample), Some(text), "{sample}");
        }
    }
}
