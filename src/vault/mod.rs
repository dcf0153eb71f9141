//! Secrets at rest: seal, open, key ring.
