//! The only SQL: one text per query for both databases.
