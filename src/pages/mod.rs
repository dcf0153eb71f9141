//! The pages that people see in a browser, a folder each: its handlers, what it shows, and its templates.

pub mod connect;
pub(crate) mod console;
pub(crate) mod docs;
pub mod front;
pub(crate) mod home;
pub(crate) mod parts;
