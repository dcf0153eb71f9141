//! OAuth 1.0a: parameters in, Authorization header out; pure.
