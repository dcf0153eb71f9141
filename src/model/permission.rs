//! Who may do what on the operators' listener: one table for the API and the console.

use crate::model::key::{Key, Right, Role};

/// A part of the operators' API and the console that is opened as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Area {
    /// Accounts, links, keys, webhooks, calls, the audit log, and what sums these up.
    Administration,
    Usage,
    /// Asking how posts perform, in the console: it uses X's quota and shows private numbers.
    Explore,
    /// Everybody's own session.
    Session,
}

/// How far an area is open to somebody; each includes those before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    None,
    View,
    /// View it, and do what there is to do.
    Full,
}

/// How far that area is open to the holder of that key.
pub fn access(key: &Key, area: Area) -> Access {
    use Access::{Full, None, View};
    let if_granted = if key.scopes.rights.contains(&Right::Explore) { Full } else { None };
    let [administration, usage, explore, session] = match key.role {
        Role::Caller => [None, None, None, None],
        Role::Owner => [Full, Full, Full, Full],
        Role::Auditor => [View, View, if_granted, Full],
        Role::Analyst => [None, View, Full, Full],
    };
    match area {
        Area::Administration => administration,
        Area::Usage => usage,
        Area::Explore => explore,
        Area::Session => session,
    }
}

/// Why the holder of that key may not do what it has asked, in words that follow "the key may not do this".
pub fn refusal(key: &Key) -> &'static str {
    match key.role {
        Role::Caller => "it is a service's",
        Role::Owner => "its role does not permit it",
        Role::Auditor if access(key, Area::Explore) == Access::None => "it is read-only",
        Role::Auditor => "it is read-only, except that it may explore in the console",
        Role::Analyst => "it may explore in the console and see usage, and nothing else",
    }
}
