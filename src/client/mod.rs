//! The client of a running gateway: one question of any size, its answer as it arrives, and what can go wrong.

mod answer;
mod error;
mod question;
mod report;
mod request;

pub use crate::client::answer::{Answer, Form};
pub use crate::client::error::Error;
pub use crate::client::question::{Grouping, Posts, Question, Top, Window};
pub use crate::client::report::{Missing, Mistake, Problem, Report};
pub use crate::client::request::Client;
