//! The pages that people see in a browser, checked at compile time. They need no script and no outside network, and
//! escape all that they show.

use askama::Template;

use crate::model::UserId;
use crate::model::handshake::{Link, NotConnected};
use crate::pages::parts::text;

/// Asks the owner of an account to go on to X.
#[derive(Template)]
#[template(path = "pages/connect/invitation.html", config = ".askama.toml")]
struct InvitationPage<'a> {
    action: &'a str,
    app: &'a str,
    label: &'a str,
    expected_user: Option<UserId>,
    expected_name: Option<&'a str>,
    /// The time for programs, and for people.
    expires_at: (&'a str, &'a str),
    last_end: Option<NotConnected>,
}

#[derive(Template)]
#[template(path = "pages/connect/connected.html", config = ".askama.toml")]
struct ConnectedPage<'a> {
    app: &'a str,
    screen_name: &'a str,
    /// The host of the URL, and the URL.
    return_to: Option<(&'a str, &'a str)>,
}

#[derive(Template)]
#[template(path = "pages/connect/trouble.html", config = ".askama.toml")]
struct TroublePage<'a> {
    title: &'a str,
    what: &'a str,
    advice: &'a str,
}

/// The page of a link that can still be used; `expected_name` is the last known name of the only user it is for,
/// `action` is where its button posts to, `expires_at` is for programs and for people.
pub fn invitation(
    link: &Link,
    expected_name: Option<&str>,
    last_end: Option<NotConnected>,
    action: &str,
    expires_at: (&str, &str),
) -> String {
    let Link { app, label, expected_user, .. } = link;
    text(&InvitationPage {
        action,
        app,
        label,
        expected_user: *expected_user,
        expected_name,
        expires_at,
        last_end,
    })
}

/// The page of a link with which somebody has connected.
pub fn connected(link: &Link, screen_name: &str) -> String {
    let return_to = link.return_to.as_deref().map(|url| (host(url), url));
    text(&ConnectedPage { app: &link.app, screen_name, return_to })
}

/// Any other page: what went wrong and what to do.
pub fn trouble(title: &str, what: &str, advice: &str) -> String {
    text(&TroublePage { title, what, advice })
}

/// The host of a URL, with its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |parts| parts.1);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_button_says_where_it_leads() {
        for (url, expected) in [
            ("https://app.example.com/done?x=1", "app.example.com"),
            ("https://app.example.com:8443", "app.example.com:8443"),
            ("http://127.0.0.1?x#y", "127.0.0.1"),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }

    #[test]
    fn what_a_page_shows_is_escaped() {
        let hostile = "</title><script>alert(1)</script>\"'&";
        let link = Link {
            app: hostile.to_owned(),
            label: hostile.to_owned(),
            expected_user: UserId::parse("7"),
            return_to: Some(format!("https://a/?{hostile}")),
            created_at: datetime!(2026-01-01 0:00 UTC),
            expires_at: datetime!(2026-01-02 0:00 UTC),
        };
        for page in [
            invitation(
                &link,
                Some(hostile),
                Some(NotConnected::Cancelled),
                hostile,
                (hostile, hostile),
            ),
            connected(&link, hostile),
            trouble(hostile, hostile, hostile),
        ] {
            assert!(!page.contains("<script") && !page.contains("alert(1)</title"), "{page}");
            assert!(!page.contains(hostile) && page.contains("&#60;script&#62;"), "{page}");
        }
    }
}
