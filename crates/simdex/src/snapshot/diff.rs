//! What has changed between a snapshot and the rows as they are now: by key and fingerprint, never
//! by clocks.
//!
//! Ids may repeat (tables without a key), so rows are compared as multisets of (key, fingerprint).

use fixedbitset::FixedBitSet;
use rusqlite::types::ValueRef;

use crate::error::Result;
use crate::matrix::{Matrix, Slab};
use crate::snapshot::census::Census;
use crate::snapshot::key::KeysBuilder;
use crate::snapshot::{Snapshot, fingerprint};
use crate::store::blob;
use crate::types::Metric;

/// Compares rows with a snapshot, one by one, in any order. O(1) a row while the order is the
/// snapshot's own, O(log n) where it is not.
#[derive(Debug)]
pub struct Diff<'a> {
    base: &'a Snapshot,
    metric: Metric,
    seen: FixedBitSet,
    /// The base row that comes next if nothing changed.
    cursor: usize,
    census: Census,
    tail_keys: KeysBuilder,
    tail_fingerprints: Vec<u64>,
    tail_vectors: Vec<f32>,
}

/// The difference: rows of the base that are gone, and rows that it lacks.
#[derive(Debug, Clone)]
pub struct Delta {
    /// One bit per base row; set: the row is gone or has changed.
    pub tombstones: FixedBitSet,
    /// Rows that are new or have changed; `None`: there are none.
    pub tail: Option<Snapshot>,
}

impl Delta {
    /// No difference to a base of this many rows.
    pub fn none(base_rows: usize) -> Self {
        Self { tombstones: FixedBitSet::with_capacity(base_rows), tail: None }
    }

    /// Rows beside the base.
    pub fn tail_rows(&self) -> u64 {
        self.tail.as_ref().map_or(0, |tail| tail.rows() as u64)
    }

    /// Rows of the base that are gone.
    pub fn gone(&self) -> u64 {
        self.tombstones.count_ones(..) as u64
    }

    /// Whether both name the same rows.
    pub fn same_rows(&self, other: &Self) -> bool {
        self.tombstones == other.tombstones
            && match (&self.tail, &other.tail) {
                (None, None) => true,
                (Some(a), Some(b)) => a.same_rows(b),
                _ => false,
            }
    }
}

impl<'a> Diff<'a> {
    /// Starts a comparison with `base`.
    pub fn new(base: &'a Snapshot, metric: Metric) -> Self {
        Self {
            base,
            metric,
            seen: FixedBitSet::with_capacity(base.rows()),
            cursor: 0,
            census: Census::default(),
            tail_keys: KeysBuilder::default(),
            tail_fingerprints: Vec::new(),
            tail_vectors: Vec::new(),
        }
    }

    /// Takes the next row of the database.
    pub fn push(&mut self, key: &[u8], embedding: ValueRef<'_>) {
        // A blob with the fingerprint of a base row is that row's, and sound.
        if let ValueRef::Blob(bytes) = embedding
            && bytes.len() == self.base.dim() * 4
            && let Some(row) = self.match_base(key, fingerprint(bytes, self.base.seed()))
        {
            self.seen.insert(row);
            self.cursor = row + 1;
            self.census.sound(self.base.dim());
            return;
        }
        match blob::check(embedding, self.metric) {
            Err(defect) => self.census.defect(defect),
            Ok(bytes) => {
                let dim = bytes.len() / 4;
                self.census.sound(dim);
                if dim == self.base.dim() {
                    self.tail_keys.push(key);
                    self.tail_fingerprints.push(fingerprint(bytes, self.base.seed()));
                    self.tail_vectors.extend(blob::decode(bytes));
                }
            }
        }
    }

    fn match_base(&self, key: &[u8], fingerprint: u64) -> Option<usize> {
        let same = |row: usize| {
            !self.seen.contains(row)
                && self.base.fingerprint(row) == fingerprint
                && self.base.keys().get(row) == key
        };
        if self.cursor < self.base.rows() && same(self.cursor) {
            return Some(self.cursor);
        }
        self.base.keys().find(key).map(|row| row as usize).find(|&row| same(row))
    }

    /// Ends the comparison. `None` when the rows' dimension is no longer the base's: then nothing
    /// of it can be used. The census counts all rows, changed or not.
    ///
    /// # Errors
    /// `Invalid` beyond 2³² − 1 rows.
    pub fn finish(mut self) -> Result<(Option<Delta>, Census)> {
        let dim = self.base.dim();
        if self.census.dimension().is_some_and(|now| now != dim) {
            return Ok((None, self.census));
        }
        self.seen.toggle_range(..);
        let tail = match self.tail_fingerprints.is_empty() {
            true => None,
            false => Some(Snapshot::new(
                self.tail_keys.finish()?,
                Slab::from_slice(&self.tail_fingerprints),
                Some(Matrix::new(Slab::from_slice(&self.tail_vectors), dim)?),
                self.base.seed(),
            )?),
        };
        Ok((Some(Delta { tombstones: self.seen, tail }), self.census))
    }
}
