//! A digest of rows in their order: equal digests, equal rows.

use simdex::engine::walk::Row;
use xxhash_rust::xxh3::Xxh3;

/// Takes rows in, and tells whether another took in the same ones, but for a chance of 2⁻¹²⁸.
#[derive(Default)]
pub(crate) struct Digest {
    rows: u64,
    state: Xxh3,
}

impl Digest {
    /// Takes a row in.
    pub(crate) fn add(&mut self, row: &Row) {
        self.rows += 1;
        let extras = &row.extras;
        self.bytes(Some(row.id.as_bytes()));
        self.state.update(&(row.vector.len() as u64).to_le_bytes());
        for value in &row.vector {
            self.state.update(&value.to_le_bytes());
        }
        self.bytes(extras.content.as_deref().map(str::as_bytes));
        self.bytes(extras.content_blob.as_deref());
        self.bytes(extras.content_hash.as_deref());
        self.bytes(extras.metadata.as_deref().map(str::as_bytes));
        self.bytes(extras.updated.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]));
    }

    /// With their length before them, so that no two rows run into each other.
    fn bytes(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        self.state.update(&length.to_le_bytes());
        self.state.update(bytes.unwrap_or_default());
    }

    /// How many rows were taken in.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.state.digest128() == other.state.digest128()
    }
}
