//! Settings as data.
