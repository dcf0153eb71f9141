//! Host names as settings list them: single names, or all names below one as `*.example.com`.

use crate::config::form::Form;

/// Hosts that are allowed; none by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hosts(Vec<String>);

pub const HOSTS: Form<Hosts> = Form {
    expected: "names or IP addresses without ports, such as hooks.example.com, *.example.com or 10.0.0.7",
    parse: |text| {
        let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| is_host(entry).then(|| plain(entry))).collect::<Option<_>>().map(Hosts)
    },
};

impl Hosts {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this host is listed, ignoring case. A pattern matches names below its name, not the name itself.
    pub fn has(&self, host: &str) -> bool {
        let host = plain(host);
        let is_below = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        self.0.iter().any(|listed| listed.strip_prefix("*.").map_or(*listed == host, is_below))
    }
}

/// The form in which names are compared: in lower case, without brackets or a final dot for the DNS root.
fn plain(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()
}

fn is_host(entry: &str) -> bool {
    let name = plain(entry.strip_prefix("*.").unwrap_or(entry));
    let is_address = !entry.starts_with('*') && name.parse::<std::net::IpAddr>().is_ok();
    let is_part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&part.len()) && part.bytes().all(plain)
    };
    is_address || name.len() <= 253 && name.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Option<Hosts> {
        (HOSTS.parse)(text)
    }

    #[test]
    fn names_are_whole_or_below_another() {
        let listed = hosts("Hooks.example.com, *.internal,\n10.0.0.7 ,[fd00::7]").unwrap();
        for host in [
            "hooks.example.com",
            "HOOKS.example.com.",
            "a.internal",
            "b.a.internal",
            "10.0.0.7",
            "fd00::7",
            "[fd00::7]",
        ] {
            assert!(listed.has(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "a.hooks.example.com",
            "internal",
            "xinternal",
            "10.0.0.8",
            "internal.evil.example",
        ] {
            assert!(!listed.has(host), "{host}");
        }
        assert!(hosts("").unwrap().is_empty());
    }

    #[test]
    fn anything_but_a_host_name_is_refused() {
        for wrong in [
            "*",
            "*.",
            "a.*.b",
            "https://a",
            "a:443",
            "a/b",
            "a b",
            "a..b",
            "*.10.0.0.7.",
            "é.example",
        ] {
            let is_number = wrong == "*.10.0.0.7.";
            assert!(is_number || hosts(wrong).is_none(), "{wrong}");
        }
    }
}
