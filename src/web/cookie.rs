//! The cookies of our pages: scripts never read them, and only this host may set them.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName};
use cookie::{Cookie, SameSite};
use time::Duration;

use crate::web::html::is_secure;

/// A cookie that one part of our pages uses.
pub(crate) struct PageCookie {
    /// The name without its prefix.
    pub(crate) name: &'static str,
    pub(crate) same_site: SameSite,
    /// `None` means that it ends with the browser.
    pub(crate) max_age: Option<Duration>,
}

impl PageCookie {
    /// What the browser sends back. Names are compared as they are: decoded, one that another host of the domain has set
    /// could become ours.
    pub(crate) fn value(&self, headers: &HeaderMap, public_url: Option<&str>) -> Option<String> {
        let name = self.full_name(public_url);
        let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = all.flat_map(Cookie::split_parse).flatten();
        cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
    }

    /// The header that gives the browser this value.
    pub(crate) fn set(&self, value: &str, public_url: Option<&str>) -> [(HeaderName, String); 1] {
        self.header(value, self.max_age, public_url)
    }

    /// The header that takes the cookie from the browser.
    pub(crate) fn remove(&self, public_url: Option<&str>) -> [(HeaderName, String); 1] {
        self.header("", Some(Duration::ZERO), public_url)
    }

    fn header(
        &self,
        value: &str,
        max_age: Option<Duration>,
        public_url: Option<&str>,
    ) -> [(HeaderName, String); 1] {
        let mut cookie = Cookie::build((self.full_name(public_url), value))
            .path("/")
            .http_only(true)
            .same_site(self.same_site)
            .secure(is_secure(public_url))
            .build();
        cookie.set_max_age(max_age);
        [(SET_COOKIE, cookie.to_string())]
    }

    /// `__Host-` keeps other hosts of the domain from setting it; without TLS, on this machine alone, browsers refuse that.
    fn full_name(&self, public_url: Option<&str>) -> String {
        let prefix = if is_secure(public_url) { "__Host-" } else { "" };
        format!("{prefix}{}", self.name)
    }
}
