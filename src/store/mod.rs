//! The only SQL: accounts, links, keys, tokens, webhooks, authors of posts, usage, calls, the audit log, live
//! replicas, their leases and the change feed, on PostgreSQL or SQLite.
//!
//! Each query is written once, in the subset that both databases speak, and run on the one in use. What it finds is
//! read by name, into a struct that derives `FromRow`; the columns of a table are listed once, beside that struct.
//! A mutation is one transaction: the row, its audit entry, and a change that tells every replica's caches.
//! Times are arguments and are kept in whole seconds, UTC. No error holds a bound value or a password.

mod account;
mod attention;
mod audit;
mod author;
mod bearer;
mod call;
mod database;
mod error;
mod handle;
mod key;
mod lease;
mod link;
mod names;
mod overview;
mod replica;
mod reseal;
mod search;
mod session;
mod subject;
mod tally;
mod time;
mod token;
mod usage;
mod webhook;

pub use crate::store::account::import::PartEvents;
pub use crate::store::account::last_call::{Failure, LastCalls};
pub use crate::store::account::new::NewAccount;
pub use crate::store::account::of_app::AppAccountFilter;
pub use crate::store::account::recent::RecentAccount;
pub use crate::store::account::{AccountFilter, StoredAccount, subject as account_subject};
pub use crate::store::attention::Trouble;
pub use crate::store::audit::AuditFilter;
pub use crate::store::bearer::StoredBearer;
pub use crate::store::call::CallFilter;
pub use crate::store::database::changes::{Change, Changes};
pub use crate::store::database::migrations::{Migration, Schema};
pub use crate::store::database::notify::Wake;
pub use crate::store::error::{Cause, Error};
pub use crate::store::handle::Store;
pub use crate::store::key::{KeyFilter, KeySearch, StoredKey};
pub use crate::store::lease::{LeaseLives, Leases};
pub use crate::store::link::pending::LinkFilter;
pub use crate::store::link::{StoredHandshake, StoredLink};
pub use crate::store::overview::UnusableAccounts;
pub use crate::store::replica::Replica;
pub use crate::store::reseal::Seals;
pub use crate::store::session::StoredSession;
pub use crate::store::subject::SubjectUsage;
pub use crate::store::tally::{EndedCalls, FailedBy};
pub use crate::store::time::whole_seconds;
pub use crate::store::token::{TokenCalls, Withdrawal};
pub use crate::store::usage::read::{Grain, UsageFilter, UsageRow};
pub use crate::store::usage::series::{MOST_SEPARATE, UsageOfTime};
pub use crate::store::usage::write::UsedAccount;
pub use crate::store::usage::{UsageBatch, UsageWriter};
pub use crate::store::webhook::delivery::{ClaimedDelivery, Outcome, Receiver, StoredDelivery};
pub use crate::store::webhook::delivery_log::DeliveryFilter;
pub use crate::store::webhook::prover::Prove;
pub use crate::store::webhook::{Backlog, StoredWebhook};
