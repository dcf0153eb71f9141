//! Callbacks, where a user returns to: which ones an app may name (reference 6.7), and what is added to them.

use axum::http::Uri;

use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;

/// The callback of an app that cannot be called back.
pub const BY_PIN: &str = "oob";

/// Schemes that are never a callback's, whatever an app's settings say. The published list goes on.
const REFUSED_SCHEMES: [&str; 6] = ["javascript", "data", "file", "ftp", "mailto", "telnet"];

/// Checks a callback against those in the app's settings; without a list, any web address will do.
/// `path` is the request's, which one of the refusals repeats.
pub fn check(callback: &str, approved: Option<&[String]>, path: &str) -> Result<(), Refusal> {
    let is_approved = match approved {
        None => callback == BY_PIN || is_web(callback),
        // A PIN needs a callback in the settings as well; how X refuses that is not known.
        Some([]) if callback != BY_PIN => return Err(errors::no_callbacks(path)),
        Some(list) if callback == BY_PIN => !list.is_empty(),
        Some(list) => list.iter().any(|url| url == callback),
    };
    let is_approved = is_approved && !is_refused(callback);
    if is_approved { Ok(()) } else { Err(errors::callback_not_approved()) }
}

/// The callback with `query` added to its own, before its fragment if it has one.
pub fn with_query(callback: &str, query: &str) -> String {
    let (url, fragment) = callback.split_at(callback.find('#').unwrap_or(callback.len()));
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{query}{fragment}")
}

fn is_web(callback: &str) -> bool {
    let parsed = callback.parse::<Uri>().ok();
    parsed.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    })
}

/// Whether the scheme is refused; so is a callback that no header can carry.
fn is_refused(callback: &str) -> bool {
    let scheme = callback.split(':').next().unwrap_or_default().to_ascii_lowercase();
    REFUSED_SCHEMES.contains(&&*scheme) || !callback.bytes().all(|byte| byte.is_ascii_graphic())
}
