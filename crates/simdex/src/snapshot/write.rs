//! From the rows of a database to a snapshot in a segment, without holding the vectors in memory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::ValueRef;

use crate::error::Result;
use crate::matrix::{Matrix, Origin, Slab};
use crate::snapshot::census::Census;
use crate::snapshot::key::KeysBuilder;
use crate::snapshot::segment::{SegmentId, SegmentWriter, map};
use crate::snapshot::{Snapshot, VECTORS, fingerprint};
use crate::store::blob;
use crate::types::Metric;

/// Takes rows one by one. Memory: keys and fingerprints; vectors go straight to the file.
#[derive(Debug)]
pub struct Writer {
    segment: SegmentWriter,
    metric: Metric,
    /// The dimension taken in; the first sound row's until told otherwise.
    dim: Option<usize>,
    census: Census,
    keys: KeysBuilder,
    fingerprints: Vec<u64>,
    seed: u64,
}

impl Writer {
    /// Starts a snapshot in an empty file, of rows with `dim` dimensions; `None`: those of the
    /// first sound row.
    ///
    /// # Errors
    /// `Io` when the file can't be written.
    pub fn new(file: File, metric: Metric, dim: Option<usize>) -> Result<Self> {
        let mut segment = SegmentWriter::new(file)?;
        segment.begin(VECTORS)?;
        Ok(Self {
            segment,
            metric,
            dim,
            census: Census::default(),
            keys: KeysBuilder::default(),
            fingerprints: Vec::new(),
            seed: SegmentId::random()?.seed(),
        })
    }

    /// Takes a row, or counts why it can't be searched.
    ///
    /// # Errors
    /// `Io` when the file can't be written, as on a full disk.
    pub fn push(&mut self, key: &[u8], embedding: ValueRef<'_>) -> Result<()> {
        let bytes = match blob::check(embedding, self.metric) {
            Ok(bytes) => bytes,
            Err(defect) => {
                self.census.defect(defect);
                return Ok(());
            }
        };
        let dim = bytes.len() / 4;
        self.census.sound(dim);
        if *self.dim.get_or_insert(dim) != dim {
            return Ok(());
        }
        self.segment.append(bytes)?;
        self.keys.push(key);
        self.fingerprints.push(fingerprint(bytes, self.seed));
        Ok(())
    }

    /// What was counted so far.
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// Whether the rows taken in are those of the collection's dimension. If not, start again with
    /// that one.
    pub fn took_the_right_size(&self) -> bool {
        self.census.dimension().is_none_or(|dim| self.dim == Some(dim))
    }

    /// Ends the rows; the snapshot's vectors are those in the (still unfinished) file, mapped, whose
    /// path is `path`.
    ///
    /// # Errors
    /// `Io` when the file can't be written or mapped.
    pub fn finish(mut self, path: &Path) -> Result<(Snapshot, SegmentWriter)> {
        let map = map(self.segment.flushed()?)?;
        let vectors = match (self.dim, self.segment.range(VECTORS)) {
            (Some(dim), Some(range)) if !self.fingerprints.is_empty() => {
                let origin = Origin { path: path.to_owned(), offset: range.start as u64 };
                let vectors = Matrix::new(Slab::from_map(&Arc::new(map), range)?, dim)?;
                Some(vectors.with_origin(Some(origin)))
            }
            _ => None,
        };
        let fingerprints = Slab::from_slice(&self.fingerprints);
        let snapshot = Snapshot::new(self.keys.finish()?, fingerprints, vectors, self.seed)?;
        snapshot.write_rest(&mut self.segment)?;
        Ok((snapshot, self.segment))
    }
}
