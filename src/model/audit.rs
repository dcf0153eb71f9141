//! What the audit log says of a change.

use std::net::IpAddr;

use time::OffsetDateTime;

/// One change that somebody or something made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub id: i64,
    pub at: OffsetDateTime,
    /// Who: `cli:<user>`, `key:<id>`, `stranger` for those who were refused, or `gateway` for what follows from the
    /// upstream's answers.
    pub actor: String,
    /// Of the actor's key, if it is one.
    pub key_name: Option<String>,
    /// From which address, if it came over the network; on which machine for the command line.
    pub address: Option<String>,
    /// What: `account.imported`, `key.created`, …
    pub action: String,
    /// To what: `account:<app>/<user id>`, `key:<id>`, …
    pub subject: String,
    /// In words, without secrets.
    pub detail: String,
}

/// Whoever holds a key and acts from an address, as one text: `key:<id>@<address>`.
pub fn holder_at(key_id: &str, address: IpAddr) -> String {
    format!("key:{key_id}@{}", address.to_canonical())
}

/// Whoever was refused.
pub const STRANGER: &str = "stranger";

/// The same with an address.
pub fn stranger_at(address: IpAddr) -> String {
    format!("{STRANGER}@{}", address.to_canonical())
}

/// A user of this machine at the command line, as one text: `cli:<user>@<machine>`.
pub fn at_command_line(user: &str, machine: &str) -> String {
    let plain = |text: &str, most: usize| -> String {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        text.chars().take(most).map(|it| if is_plain(it) { it } else { '_' }).collect()
    };
    format!("cli:{}@{}", plain(user, 32), plain(machine, 64))
}

/// Who acts, and from where; nowhere for the gateway itself.
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
