//! JSON that the API, the command line and the tests share.

pub mod account;
pub mod app;
pub mod attention;
pub mod audit;
pub mod browser;
pub mod call;
pub mod key;
pub mod link;
pub mod overview;
pub mod question;
pub mod schema;
pub mod spreadsheet;
pub mod table;
pub mod time;
pub mod usage;
pub mod vault;
pub mod webhook;

pub use crate::wire::account::{Account, ImportLine, SeenAccount, read_imports, verified};
pub use crate::wire::app::App;
pub use crate::wire::browser::{Subjects, Withdrawal, Withdrawn, read_day};
pub use crate::wire::key::{CreatedKey, Key, KeyChanges, KeyTerms, NewKey};
pub use crate::wire::link::{CreatedLink, Link, NewLink};
pub use crate::wire::time::rfc3339;
