//! The stand-in upstream: the same rules, invented numbers.
