//! An immutable copy of rows: keys, vectors and fingerprints, in memory or in a mapped file.

pub mod census;
pub mod diff;
pub mod key;
pub mod segment;
pub mod write;

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, ErrorKind, Result};
use crate::matrix::{Matrix, Slab};
use crate::snapshot::key::Keys;
use crate::snapshot::segment::{Segment, SegmentWriter};
use crate::store::blob;
use crate::types::Metric;

/// The fingerprint of a row: XXH3-64 of its blob. The seed is random for every snapshot, so that
/// nobody can prepare two blobs that look alike.
pub fn fingerprint(blob: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(blob, seed)
}

/// Rows in the order in which SQLite stored them. Row numbers are positions in this order.
#[derive(Debug, Clone)]
pub struct Snapshot {
    keys: Keys,
    fingerprints: Slab<u64>,
    /// `None` when there are no rows, and so no dimension.
    vectors: Option<Matrix>,
    seed: u64,
}

/// What a snapshot's `meta` section says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    rows: u64,
    dim: u64,
    seed: u64,
}

impl Snapshot {
    /// Puts the parts together.
    ///
    /// # Errors
    /// `Damaged` when they differ in length.
    pub fn new(
        keys: Keys,
        fingerprints: Slab<u64>,
        vectors: Option<Matrix>,
        seed: u64,
    ) -> Result<Self> {
        let rows = vectors.as_ref().map_or(0, Matrix::rows);
        if keys.len() != rows || fingerprints.len() != rows {
            let message = format!(
                "{} keys, {} fingerprints and {rows} vectors do not belong together",
                keys.len(),
                fingerprints.len()
            );
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        Ok(Self { keys, fingerprints, vectors, seed })
    }

    /// Opens the snapshot in a segment; O(1).
    ///
    /// # Errors
    /// `Damaged` when the sections don't fit together.
    pub fn open(segment: &Segment) -> Result<Self> {
        let meta: Meta = read_json(segment, META)?;
        let keys =
            Keys::new(segment.section(OFFSETS)?, segment.section(BYTES)?, segment.section(ORDER)?)?;
        let values = segment.section::<f32>(VECTORS)?;
        let vectors = match usize::try_from(meta.dim) {
            Ok(0) if values.is_empty() => None,
            // Without rows there is no dimension; one from a hostile file could be any number.
            Ok(dim) if !values.is_empty() => {
                let vectors = Matrix::new(values, dim).map_err(damaged)?;
                Some(vectors.with_origin(segment.origin(VECTORS)))
            }
            _ => {
                let message = format!("{} values of dimension {}", values.len(), meta.dim);
                return Err(Error::new(ErrorKind::Damaged, message));
            }
        };
        let snapshot = Self::new(keys, segment.section(FINGERPRINTS)?, vectors, meta.seed)?;
        if snapshot.rows() as u64 != meta.rows {
            let message = format!("{} rows, expected {}", snapshot.rows(), meta.rows);
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        Ok(snapshot)
    }

    /// Writes everything but the vectors, which come first (see [`write::Writer`]).
    fn write_rest(&self, writer: &mut SegmentWriter) -> Result<()> {
        let (offsets, bytes, order) = self.keys.parts();
        writer.section(OFFSETS, offsets)?;
        writer.section(BYTES, bytes)?;
        writer.section(ORDER, order)?;
        writer.section(FINGERPRINTS, &self.fingerprints)?;
        let meta = Meta { rows: self.rows() as u64, dim: self.dim() as u64, seed: self.seed };
        write_json(writer, META, &meta)
    }

    /// Writes the whole snapshot into a segment.
    ///
    /// # Errors
    /// `Io` when the file can't be written.
    pub fn write(&self, writer: &mut SegmentWriter) -> Result<()> {
        writer.section(VECTORS, self.vectors.as_ref().map_or(&[], |vectors| vectors.values()))?;
        self.write_rest(writer)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Dimension of the vectors; 0 when there are no rows.
    pub fn dim(&self) -> usize {
        self.vectors.as_ref().map_or(0, Matrix::dim)
    }

    /// The rows' keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The rows' vectors; `None` when there are no rows.
    pub fn vectors(&self) -> Option<&Matrix> {
        self.vectors.as_ref()
    }

    /// The fingerprint of `row`; 0 beyond the last.
    pub fn fingerprint(&self, row: usize) -> u64 {
        self.fingerprints.get(row).copied().unwrap_or(0)
    }

    /// The seed of the fingerprints.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// For each row, the row of `old` that has the same key and vector; each is taken once. O(1) a row
    /// while the order is the same, O(log n) where it is not.
    pub fn rows_in(&self, old: &Self) -> Vec<Option<u32>> {
        let (Some(vectors), Some(before)) = (&self.vectors, &old.vectors) else {
            return vec![None; self.rows()];
        };
        let mut taken = vec![false; old.rows()];
        let mut cursor = 0;
        let same = |row: usize, at: usize, taken: &[bool]| {
            taken.get(at) == Some(&false)
                && old.keys.get(at) == self.keys.get(row)
                && same_bits(before.row(at), vectors.row(row))
        };
        let find = |row: usize| {
            let found = match same(row, cursor, &taken) {
                true => Some(cursor),
                false => {
                    let mut rows = old.keys.find(self.keys.get(row)).map(|at| at as usize);
                    rows.find(|&at| same(row, at, &taken))
                }
            }?;
            taken[found] = true;
            cursor = found + 1;
            Some(found as u32)
        };
        (0..self.rows()).map(find).collect()
    }

    /// Whether both hold the same keys and fingerprints in the same order.
    pub fn same_rows(&self, other: &Self) -> bool {
        self.seed == other.seed
            && self.fingerprints[..] == other.fingerprints[..]
            && self.keys.parts() == other.keys.parts()
    }

    /// Recomputes every row's fingerprint from its vector, and checks that `metric` can compare it
    /// and that keys decode and are sorted: what checksums can't say of a file that somebody made.
    /// O(size).
    ///
    /// # Errors
    /// `Damaged`, naming the row.
    pub fn check(&self, metric: Metric) -> Result<()> {
        let Some(vectors) = &self.vectors else { return Ok(()) };
        let (_, _, order) = self.keys.parts();
        let mut before: Option<(&[u8], u32)> = None;
        for &row in order {
            let (key, index) = (self.keys.get(row as usize), row as usize);
            key::decode(key).map_err(|error| error.with("row", row))?;
            let sorted = before.is_none_or(|before| before < (key, row));
            if index >= self.rows() || !sorted {
                let message = format!("the keys are not sorted at row {row}");
                return Err(Error::new(ErrorKind::Damaged, message));
            }
            before = Some((key, row));
            let blob = little_endian(vectors.row(index));
            if fingerprint(&blob, self.seed) != self.fingerprint(index) {
                let message = format!("the vector of row {row} does not match its fingerprint");
                return Err(Error::new(ErrorKind::Damaged, message));
            }
            if let Err(defect) = blob::check(ValueRef::Blob(&blob), metric) {
                let message = format!("row {row} can't be compared: {}", defect.describe());
                return Err(Error::new(ErrorKind::Damaged, message));
            }
        }
        Ok(())
    }
}

/// The blob of a vector. Segments are little-endian, as blobs are; so is every target we build for.
fn little_endian(values: &[f32]) -> std::borrow::Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(values).into();
    }
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn damaged(error: Error) -> Error {
    Error::new(ErrorKind::Damaged, "the vectors are not whole rows").source(error)
}

/// The section of the vectors.
pub const VECTORS: &str = "vectors";
const OFFSETS: &str = "keys.offsets";
const BYTES: &str = "keys.bytes";
const ORDER: &str = "keys.order";
const FINGERPRINTS: &str = "fingerprints";
const META: &str = "snapshot";

/// Reads a section that holds JSON.
///
/// # Errors
/// `Damaged` when it is not what is expected.
pub fn read_json<T: serde::de::DeserializeOwned>(segment: &Segment, name: &str) -> Result<T> {
    let bytes = segment.section::<u8>(name)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::Damaged, format!("section `{name}` can't be read")).source(error)
    })
}

/// Writes a section of JSON.
///
/// # Errors
/// `Io` when the file can't be written.
pub fn write_json<T: Serialize>(writer: &mut SegmentWriter, name: &str, value: &T) -> Result<()> {
    let json = serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "a value has no JSON form").source(error)
    })?;
    writer.section(name, &json)
}
/// Whether two vectors have the same bytes: −0 is not 0.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    bytemuck::cast_slice::<f32, u8>(a) == bytemuck::cast_slice::<f32, u8>(b)
}
