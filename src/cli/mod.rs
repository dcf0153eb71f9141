//! The command line: the only printing.
