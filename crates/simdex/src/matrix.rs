//! Where numbers live: a `Slab` is owned memory or a range of a mapped file, read alike.

use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, ErrorKind, Result};
use crate::huge;

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
        let mut lines = huge::filled(Line([0; ALIGNMENT]), source.len().div_ceil(ALIGNMENT));
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
    origin: Option<Arc<Origin>>,
}

/// Where the values of a [`Matrix`] are on disk, for other processes to map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// Where the first value begins, in bytes.
    pub offset: u64,
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
        Ok(Self { values, dim, origin: None })
    }

    /// The same, with the file that the values were mapped from.
    #[must_use]
    pub fn with_origin(self, origin: Option<Origin>) -> Self {
        Self { origin: origin.map(Arc::new), ..self }
    }

    /// The file that the values were mapped from, if they were.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
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

/// Collects rows into a [`Matrix`] that takes their memory over: they are never held twice.
#[derive(Clone)]
pub struct MatrixBuilder {
    lines: Vec<Line>,
    rows: usize,
    dim: usize,
}

impl MatrixBuilder {
    /// Room for `rows` rows of `dim` values; more may follow.
    ///
    /// # Errors
    /// `Invalid` when `dim` is 0, `Io` when there is not enough memory.
    pub fn new(dim: usize, rows: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::new(ErrorKind::Invalid, "rows of 0 values"));
        }
        let mut lines = Vec::new();
        let reserved = match rows.checked_mul(dim).and_then(|values| values.checked_mul(4)) {
            Some(bytes) => lines.try_reserve_exact(bytes.div_ceil(ALIGNMENT)).is_ok(),
            None => false,
        };
        if !reserved {
            let message = format!("not enough memory for {rows} rows of {dim} values");
            return Err(Error::new(ErrorKind::Io, message));
        }
        huge::advise(lines.spare_capacity_mut());
        Ok(Self { lines, rows: 0, dim })
    }

    /// Number of rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a row of zeros and returns it to be filled.
    pub fn add_row(&mut self) -> &mut [f32] {
        let start = self.rows * self.dim;
        let end = start + self.dim;
        self.lines.resize((end * 4).div_ceil(ALIGNMENT), Line([0; ALIGNMENT]));
        self.rows += 1;
        &mut self.values_mut()[start..end]
    }

    /// Moves the rows with these numbers (ascending) to a builder of their own; the others close
    /// ranks in place.
    ///
    /// # Errors
    /// As [`MatrixBuilder::new`].
    pub fn take_rows(&mut self, numbers: &[usize]) -> Result<Self> {
        let mut taken = Self::new(self.dim, numbers.len())?;
        let (rows, dim) = (self.rows, self.dim);
        let values = self.values_mut();
        let mut numbers = numbers.iter().peekable();
        let mut kept = 0;
        for row in 0..rows {
            let range = row * dim..(row + 1) * dim;
            if numbers.next_if(|&&number| number == row).is_some() {
                taken.add_row().copy_from_slice(&values[range]);
            } else {
                values.copy_within(range, kept * dim);
                kept += 1;
            }
        }
        self.rows = kept;
        self.lines.truncate((kept * dim * 4).div_ceil(ALIGNMENT));
        Ok(taken)
    }

    /// The rows as a matrix.
    ///
    /// # Errors
    /// As [`Matrix::new`].
    pub fn finish(self) -> Result<Matrix> {
        let range = 0..self.rows * self.dim * 4;
        let bytes = Bytes::Owned(Arc::new(self.lines));
        Matrix::new(Slab { bytes, range, element: PhantomData }, self.dim)
    }

    fn values_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }
}

impl std::fmt::Debug for MatrixBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MatrixBuilder({} × {})", self.rows, self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_collected_and_taken_out() {
        let mut builder = MatrixBuilder::new(3, 2).unwrap();
        for row in 0..20_u8 {
            builder.add_row().fill(f32::from(row));
        }
        let taken = builder.take_rows(&[0, 7, 19]).unwrap().finish().unwrap();
        let first = |matrix: &Matrix| -> Vec<f32> {
            (0..matrix.rows()).map(|row| matrix.row(row)[2]).collect()
        };
        assert_eq!(first(&taken), [0.0, 7.0, 19.0]);
        let left = builder.finish().unwrap();
        let expected: Vec<f32> = (1..19_u8).filter(|&row| row != 7).map(f32::from).collect();
        assert_eq!(first(&left), expected);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(MatrixBuilder::new(0, 1).is_err());
        assert_eq!(MatrixBuilder::new(usize::MAX, 8).unwrap_err().kind(), ErrorKind::Io);
    }
}
