//! The origin of a web page (RFC 6454): scheme, host and port, as browsers send them in `Origin`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest origin, in bytes.
const LONGEST: usize = 200;

/// The origin of pages whose numbers may travel: `https`, or this machine's own with any scheme.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin(Box<str>);

impl Origin {
    /// Reads an origin written as browsers write it; the error says what would be right.
    pub fn parse(text: &str) -> Result<Origin, String> {
        let right = "must be the origin of a page, such as https://app.example.com";
        if text == "null" || text.contains('*') {
            return Err(format!("{right}; wildcards and null would let any page in"));
        }
        let url = Url::parse(text).map_err(|_| right.to_owned())?;
        let host = url.host().filter(|_| text.len() <= LONGEST).ok_or(right)?;
        if url.scheme() != "https" && !is_loopback(&host) {
            return Err(format!("{right}; without https, a page must be on this machine itself"));
        }
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let written = format!("{}://{host}{port}", url.scheme());
        if written == text {
            return Ok(Origin(written.into()));
        }
        Err(format!("must be written as browsers send it, without path or user: {written}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether only this machine answers under the name (RFC 6761 6.3).
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // Hosts of schemes that are not the web's own are not parsed as addresses.
        Host::Domain(name) => {
            *name == "localhost"
                || name.ends_with(".localhost")
                || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => *address == Ipv6Addr::LOCALHOST,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        for right in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "https://xn--bcher-kva.example",
            "https://[2001:db8::1]",
            "http://localhost:3000",
            "http://charts.localhost",
            "http://127.0.0.1:8300",
            "http://[::1]:8300",
            "capacitor://localhost",
        ] {
            assert_eq!(Origin::parse(right).map(|origin| origin.to_string()), Ok(right.to_owned()));
        }
    }

    #[test]
    fn what_no_browser_sends_or_anybody_could_send_is_refused() {
        for wrong in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://*.example.com",
            "http://app.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://App.example.com",
            "https://bücher.example",
            "https://user@app.example.com",
            "https://app.example.com/path",
            "https://app.example.com?query",
            "https://app.example.com#part",
            " https://app.example.com",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "capacitor://app",
            &format!("https://{}.example", "a".repeat(LONGEST)),
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_right_spelling_is_told() {
        let told = |text: &str| Origin::parse(text).unwrap_err();
        assert!(told("https://App.example.com:443/x").ends_with("user: https://app.example.com"));
        assert!(told("http://app.example.com").contains("without https"));
    }
}
