//! An entry of the audit log.

use std::net::IpAddr;

use time::OffsetDateTime;

/// One change that somebody or something made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub id: i64,
    pub at: OffsetDateTime,
    /// Who: `cli:<user>`, `key:<id>`, `stranger` for a refused caller, or `gateway` for consequences of the upstream's
    /// answers.
    pub actor: String,
    /// The name of the actor's key, if it is one.
    pub key_name: Option<String>,
    /// The address that it came from over the network, or the machine of the command line.
    pub address: Option<String>,
    /// What: `account.imported`, `key.created`, …
    pub action: String,
    /// To what: `account:<app>/<user id>`, `key:<id>`, …
    pub subject: String,
    /// The details in words, without secrets.
    pub detail: String,
}

/// The holder of a key acting from an address, as one text: `key:<id>@<address>`.
pub fn holder_at(key_id: &str, address: IpAddr) -> String {
    format!("key:{key_id}@{}", address.to_canonical())
}

/// The actor that stands for any refused caller.
pub const STRANGER: &str = "stranger";

/// A refused caller with its address.
pub fn stranger_at(address: IpAddr) -> String {
    format!("{STRANGER}@{}", address.to_canonical())
}

/// A user of this machine at the command line, as one text: `cli:<user>@<machine>`.
pub fn at_command_line(user: &str, machine: &str) -> String {
    let plain = |text: &str, most: usize| -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        text.chars().take(most).map(|c| if is_plain(c) { c } else { '_' }).collect()
    };
    format!("cli:{}@{}", plain(user, 32), plain(machine, 64))
}

/// The actor and its address, which is empty for the gateway itself.
pub fn who_and_where(actor: &str) -> (&str, &str) {
    actor.split_once('@').unwrap_or((actor, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_types_commands_is_one_short_printable_word() {
        assert_eq!(at_command_line("ada", "build-7.internal"), "cli:ada@build-7.internal");
        assert_eq!(at_command_line("a@b c\u{202e}\n", "x@y"), "cli:a_b_c__@x_y");
        let long = at_command_line(&"u".repeat(99), &"h".repeat(99));
        assert_eq!(who_and_where(&long), (&*format!("cli:{}", "u".repeat(32)), &*"h".repeat(64)));
    }
}
