//! The use cases; knows no HTTP server and no SQL.
