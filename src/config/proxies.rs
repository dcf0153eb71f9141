//! Proxies trusted to name the client's address: addresses and networks, each entry checked on its own.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::config::reader::Reader;

/// Proxies that may name the client they forward for; none by default.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Whether this address is a trusted proxy's. IPv4 must be passed as such, never mapped into IPv6.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The proxies that `key` lists.
pub fn proxies(reader: &mut Reader<'_>, key: &str) -> Proxies {
    let Some((setting, text)) = reader.text(key) else { return Proxies::default() };
    let entries = text.expose().split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
    let mut networks = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        match network(entry) {
            Ok(network) => networks.push(network),
            Err(expected) => {
                reader
                    .problems
                    .push(setting.problem(format!("entry {number}: expected {expected}")));
            }
        }
    }
    Proxies(networks)
}

/// Reads an address or a network; the error says what was expected.
fn network(entry: &str) -> Result<IpNet, String> {
    let one = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
    let read = entry.parse().ok().or_else(|| one(entry)).map(unmapped);
    let network =
        read.ok_or("an IP address or a network, such as 10.0.0.7, 10.1.0.0/16 or fd00::/8")?;
    if network.prefix_len() == 0 {
        return Err(
            "a smaller network: this one has all addresses, so anybody could claim to be anybody"
                .to_owned(),
        );
    }
    if network.addr() != network.network() {
        let (whole, one) = (network.trunc(), network.addr());
        return Err(format!("{whole} for the whole network, or {one} for the one address"));
    }
    Ok(network)
}

/// Turns an IPv4 network written as IPv6 back into IPv4.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(wide) = network else { return network };
    let mapped = wide.addr().to_ipv4_mapped().zip(wide.prefix_len().checked_sub(96));
    let plain = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    plain.map_or(network, IpNet::V4)
}
