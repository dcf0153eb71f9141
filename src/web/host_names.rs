//! The host names under which metrics and the operators' API are served. Anyone who owns a name may point it at this
//! machine, and pages under that name could then read what is served here (DNS rebinding).

use std::net::IpAddr;

use axum::http::uri::Authority;

use crate::config::Hosts;

/// Names that nobody outside can own: those of this machine and those within a cluster.
const INSIDE: [&str; 3] = [".localhost", ".svc", ".svc.cluster.local"];

/// The names that the settings allow besides those.
pub(crate) struct Names {
    public: Option<String>,
    hosts: Hosts,
}

impl Names {
    pub(crate) fn new(public_url: Option<&str>, hosts: &Hosts) -> Names {
        let public = public_url.and_then(|url| url.split_once("://"));
        let public = public
            .and_then(|parts| parts.1.parse().ok())
            .map(|authority: Authority| name(&authority));
        Names { public, hosts: hosts.clone() }
    }

    pub(crate) fn have(&self, authority: &Authority) -> bool {
        let name = name(authority);
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_inside = !name.contains('.') || INSIDE.iter().any(|suffix| name.ends_with(suffix));
        is_address || is_inside || self.public.as_ref() == Some(&name) || self.hosts.has(&name)
    }
}

/// The host name without its port, in the form in which names are compared.
fn name(authority: &Authority) -> String {
    let host = authority.host();
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves(authority: &str) -> bool {
        let hosts = (crate::config::HOSTS.parse)("metrics.example.com,*.internal.example").unwrap();
        let names = Names { public: Some("admin.example.com".to_owned()), hosts };
        names.have(&authority.parse().unwrap())
    }

    #[test]
    fn names_that_nobody_else_can_have_are_served() {
        for name in [
            "127.0.0.1:8081",
            "10.1.2.3",
            "[::1]:8081",
            "[fd00::7]",
            "localhost:8081",
            "LOCALHOST.",
            "a.localhost",
            "countersign",
            "countersign:8081",
            "countersign.prod.svc",
            "countersign.prod.svc.cluster.local:8081",
            "admin.example.com",
            "Admin.Example.com:443",
            "metrics.example.com",
            "a.internal.example",
        ] {
            assert!(serves(name), "{name}");
        }
        for name in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "x.svc.evil.example",
            "svc.cluster.local.evil.example",
            "a.svc.cluster.example",
            "notsvc.example",
            "x.admin.example.com",
            "internal.example",
            "admin.example.com.evil.example:8081",
        ] {
            assert!(!serves(name), "{name}");
        }
    }
}
