//! Where numbers live: a `Slab` is owned memory or a range of a mapped file, read alike.

use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, ErrorKind, Result};

/// The alignment of every slab: a cache line, and the widest vector register.
pub const ALIGNMENT: usize = 64;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// Bytes that start at a multiple of [`ALIGNMENT`]: owned, or a view into a mapped file.
#[derive(Clone)]
enum Bytes {
    Owned(Arc<Vec<Line>>),
    Mapped(Arc<memmap2::Mmap>),
}

/// An immutable, shared array of `T`. Cloning is O(1) and shares the memory.
#[derive(Clone)]
pub struct Slab<T> {
    bytes: Bytes,
    range: Range<usize>,
    element: PhantomData<T>,
}

impl<T: Pod> Slab<T> {
    /// Copies `values` into aligned memory. O(n).
    pub fn from_slice(values: &[T]) -> Self {
        let source: &[u8] = bytemuck::cast_slice(values);
        let mut lines = vec![Line([0; ALIGNMENT]); source.len().div_ceil(ALIGNMENT)];
        for (line, chunk) in lines.iter_mut().zip(source.chunks(ALIGNMENT)) {
            line.0[..chunk.len()].copy_from_slice(chunk);
        }
        Self { bytes: Bytes::Owned(Arc::new(lines)), range: 0..source.len(), element: PhantomData }
    }

    /// Views `range` (in bytes) of a mapped file.
    ///
    /// # Errors
    /// `Damaged` when the range leaves the file, is not aligned for `T`, or is not whole elements.
    pub fn from_map(map: &Arc<memmap2::Mmap>, range: Range<usize>) -> Result<Self> {
        let fits =
            map.get(range.clone()).is_some_and(|b| bytemuck::try_cast_slice::<u8, T>(b).is_ok());
        if !fits {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!("bytes {}..{} are outside the file or misaligned", range.start, range.end),
            ));
        }
        Ok(Self { bytes: Bytes::Mapped(Arc::clone(map)), range, element: PhantomData })
    }

    /// The same bytes as another element type.
    ///
    /// # Errors
    /// `Damaged` when the length is not a whole number of `U`.
    pub fn cast<U: Pod>(&self) -> Result<Slab<U>> {
        if bytemuck::try_cast_slice::<T, U>(self).is_err() {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!("{} bytes are not a whole array", self.range.len()),
            ));
        }
        Ok(Slab { bytes: self.bytes.clone(), range: self.range.clone(), element: PhantomData })
    }
}

impl<T: Pod> Deref for Slab<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let bytes: &[u8] = match &self.bytes {
            Bytes::Owned(lines) => bytemuck::cast_slice(lines.as_slice()),
            Bytes::Mapped(map) => map,
        };
        bytemuck::cast_slice(&bytes[self.range.clone()])
    }
}

impl<T> std::fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slab({} bytes)", self.range.len())
    }
}

/// `rows × dim` float32 values, row-major, shared and immutable.
#[derive(Debug, Clone)]
pub struct Matrix {
    values: Slab<f32>,
    dim: usize,
}

impl Matrix {
    /// Takes `values` (rows × dim, row-major) as a matrix of `dim` columns.
    ///
    /// # Errors
    /// `Invalid` when `dim` is 0, the length is not a multiple of it, or there are more than
    /// `u32::MAX` rows.
    pub fn new(values: Slab<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            let message = format!("{} values are not rows of {dim}", values.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if u32::try_from(values.len() / dim).is_err() {
            return Err(Error::new(ErrorKind::Invalid, "more than 4,294,967,295 rows"));
        }
        Ok(Self { values, dim })
    }

    /// Copies `values` (rows × dim, row-major). O(rows · dim).
    ///
    /// # Errors
    /// As [`Matrix::new`].
    pub fn from_slice(values: &[f32], dim: usize) -> Result<Self> {
        Self::new(Slab::from_slice(values), dim)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of columns: the dimension of the vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Row `row`, `dim` values.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..][..self.dim]
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
