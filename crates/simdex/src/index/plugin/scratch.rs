//! Arrays on their way to a plugin.

use std::io::{BufWriter, Seek, SeekFrom, Write};

use fixedbitset::FixedBitSet;
use simdex_plugin::{Array, ElementType};
use tempfile::NamedTempFile;

use crate::error::{Context, Error, Result};
use crate::matrix::{ALIGNMENT, Matrix};

/// A temporary file for the arrays of one request, written anew for the next. Readable by nobody
/// else.
#[derive(Debug)]
pub(super) struct Scratch {
    file: NamedTempFile,
    end: u64,
}

impl Scratch {
    /// An empty one.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::Builder::new().prefix("simdex-").tempfile();
        Ok(Self { file: file.context("folder", std::env::temp_dir().display())?, end: 0 })
    }

    /// Forgets the arrays of the last request.
    pub(super) fn clear(&mut self) {
        self.end = 0;
    }

    /// Writes values of a shape.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn floats<'a>(
        &mut self,
        rows: impl IntoIterator<Item = &'a [f32]>,
        dim: usize,
    ) -> Result<Array> {
        let mut count = 0;
        let offset = self.write(|file| {
            for row in rows {
                file.write_all(bytemuck::cast_slice(row))?;
                count += 1;
            }
            Ok(())
        })?;
        Ok(self.array(offset, ElementType::Float32, vec![count, dim as u64]))
    }

    /// Writes row numbers.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn numbers(&mut self, numbers: &[u32]) -> Result<Array> {
        let offset = self.write(|file| file.write_all(bytemuck::cast_slice(numbers)))?;
        Ok(self.array(offset, ElementType::Uint32, vec![numbers.len() as u64]))
    }

    /// Writes a set of rows, a bit each.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn row_set(&mut self, set: &FixedBitSet) -> Result<Array> {
        let offset = self.write(|file| {
            set.as_slice().iter().try_for_each(|word| file.write_all(&word.to_le_bytes()))
        })?;
        Ok(self.array(offset, ElementType::Bits, vec![set.len() as u64]))
    }

    fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<u64> {
        let offset = self.end.next_multiple_of(ALIGNMENT as u64);
        let mut file = BufWriter::with_capacity(1 << 16, self.file.as_file());
        let written = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| write(&mut file))
            .and_then(|()| file.flush())
            .and_then(|()| file.stream_position());
        self.end = written.map_err(Error::from)?;
        Ok(offset)
    }

    fn array(&self, offset: u64, element: ElementType, shape: Vec<u64>) -> Array {
        Array { path: self.file.path().to_owned(), offset, element, shape }
    }
}

/// Where a plugin finds the vectors of a matrix: where it was mapped from, else in a copy.
#[derive(Debug)]
pub(super) struct Spool {
    array: Array,
    _copy: Option<Scratch>,
}

impl Spool {
    /// Finds or copies.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn of(vectors: &Matrix) -> Result<Self> {
        let (rows, dim) = (vectors.rows(), vectors.dim());
        if let Some(origin) = vectors.origin() {
            let shape = vec![rows as u64, dim as u64];
            let (path, element) = (origin.path.clone(), ElementType::Float32);
            let array = Array { path, offset: origin.offset, element, shape };
            return Ok(Self { array, _copy: None });
        }
        let mut copy = Scratch::new()?;
        let array = copy.floats(vectors.values().chunks(dim), dim)?;
        Ok(Self { array, _copy: Some(copy) })
    }

    /// The array.
    pub(super) fn array(&self) -> Array {
        self.array.clone()
    }
}
