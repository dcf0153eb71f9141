//! axum: routes, layers, extractors, the one status table.
