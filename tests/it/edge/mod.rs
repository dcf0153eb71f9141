//! The two listeners as strangers meet them: slow, large, ambiguous and unauthorised requests, and the end of a server.

mod accounts;
mod drain;
mod keys;
mod paths;
mod raw;
mod room;
mod slow;
mod smuggling;
