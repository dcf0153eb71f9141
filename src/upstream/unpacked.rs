//! A decompressed body.

use bytes::Bytes;

/// A decompressed body, of which only the beginning is kept: most are no longer than that.
#[derive(Clone, Debug, Default)]
pub struct Unpacked {
    pub start: Bytes,
    pub length: usize,
}
