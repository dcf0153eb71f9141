//! The client's address: the other end of a connection or, if that is a trusted proxy, the address that it names.

use std::net::{IpAddr, SocketAddr};
use std::str;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderName};

use crate::config::Proxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection; cheap to clone.
#[derive(Clone)]
pub(crate) struct Peer {
    address: IpAddr,
    /// The trusted proxies; `None` if this peer is not one of them.
    trusted: Option<Arc<Proxies>>,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: &Arc<Proxies>) -> Peer {
        let address = address.to_canonical();
        let trusted = trusted.has(address).then(|| Arc::clone(trusted));
        Peer { address, trusted }
    }

    /// The address that its connections count for; `None` for a trusted proxy, whose connections count for its clients.
    pub(crate) fn counted(&self) -> Option<IpAddr> {
        self.trusted.is_none().then_some(self.address)
    }

    /// The client that a trusted proxy names, unless that is itself a trusted proxy.
    pub(crate) fn named(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let trusted = self.trusted.as_ref()?;
        Some(self.client(headers)).filter(|client| !trusted.has(*client))
    }

    /// The client behind this peer. Each proxy appends the address that called it, so the list is read from the right,
    /// up to the first address that is not trusted: anybody may have written what is left of that. An entry that is no
    /// address ends it too.
    pub(crate) fn client(&self, headers: &HeaderMap) -> IpAddr {
        let Some(trusted) = &self.trusted else { return self.address };
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut named =
            lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map(address);
        let mut client = self.address;
        while trusted.has(client)
            && let Some(Some(before)) = named.next()
        {
            client = before;
        }
        client
    }
}

/// The address for which a request is answered.
#[derive(Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

impl Client {
    pub(crate) fn address(request: &Request) -> IpAddr {
        Client::of(request.extensions())
    }

    /// The same, of a request that is taken apart.
    pub(crate) fn of(extensions: &Extensions) -> IpAddr {
        extensions.get::<Client>().expect("each request has a client").0
    }
}

/// An address with or without a port, of either family.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .filter(|text| text.contains(':'));
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    let address = bare.unwrap_or(text).parse().ok().or_else(with_port);
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::HeaderValue;

    use super::*;
    use crate::config;

    fn trusting(list: &str) -> Arc<Proxies> {
        let set = [("COUNTERSIGN__ADMIN__TRUSTED_PROXIES".to_owned(), list.to_owned())];
        let read = config::parse(None, &BTreeMap::from(set), &|_| Err(String::new()));
        Arc::new(read.unwrap_or_else(|errors| panic!("{errors}")).admin.trusted_proxies)
    }

    /// The client's address if `peer` sends these lines of the header.
    fn client(trusted: &str, peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        Peer::new(peer.parse().unwrap(), &trusting(trusted)).client(&headers).to_string()
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        let trusted = "10.0.0.0/8, fd00::/8, 192.0.2.7";
        for (peer, line, expected) in [
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("192.0.2.7", "203.0.113.9", "203.0.113.9"),
            ("fd00::1", "203.0.113.9", "203.0.113.9"),
            ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.1", "2001:db8::9", "2001:db8::9"),
            ("10.0.0.1", "[2001:db8::9]", "2001:db8::9"),
            ("10.0.0.1", "[2001:DB8::9]:443", "2001:db8::9"),
            ("10.0.0.1", "[::ffff:203.0.113.9]:443", "203.0.113.9"),
            ("10.0.0.1", " \t203.0.113.9\t ", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1,203.0.113.9,10.0.0.2 , fd00::2", "203.0.113.9"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "::ffff:10.0.0.2, ::ffff:10.0.0.3", "10.0.0.2"),
        ] {
            assert_eq!(client(trusted, peer, &[line.as_bytes()]), expected, "{peer}: {line}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_list() {
        for (line, expected) in [
            ("", "10.0.0.1"),
            ("unknown", "10.0.0.1"),
            ("203.0.113.9, _hidden", "10.0.0.1"),
            ("203.0.113.9,", "10.0.0.1"),
            ("203.0.113.9,, 10.0.0.2", "10.0.0.2"),
            ("203.0.113.9, 10.0.0.2 10.0.0.3", "10.0.0.1"),
            ("203.0.113.9, 999.0.0.1, 10.0.0.2", "10.0.0.2"),
            ("203.0.113.9, 010.0.0.2", "10.0.0.1"),
            ("203.0.113.9:", "10.0.0.1"),
            ("203.0.113.9:99999", "10.0.0.1"),
            ("[203.0.113.9]", "10.0.0.1"),
            ("[2001:db8::9", "10.0.0.1"),
            ("2001:db8::9]", "10.0.0.1"),
            ("[2001:db8::9]443", "10.0.0.1"),
            ("fe80::1%eth0", "10.0.0.1"),
            ("for=203.0.113.9", "10.0.0.1"),
            ("localhost", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[line.as_bytes()]), expected, "{line}");
        }
        assert_eq!(
            client("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, \xff\xfe, 10.0.0.2"]),
            "10.0.0.2"
        );
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines: [&[u8]; 3] = [b"198.51.100.1", b"203.0.113.9, 10.0.0.3", b"10.0.0.2"];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &lines), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn nobody_else_is_believed() {
        for (trusted, peer) in [
            ("", "127.0.0.1"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.7", "10.0.0.8"),
            ("fd00::/8", "10.0.0.1"),
            ("10.0.0.0/8", "fd00::1"),
        ] {
            assert_eq!(client(trusted, peer, &[b"203.0.113.9"]), peer, "{trusted}");
        }
        assert_eq!(client("::ffff:10.0.0.0/104", "10.0.0.1", &[b"203.0.113.9"]), "203.0.113.9");
    }
}
