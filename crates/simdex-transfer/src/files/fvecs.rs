//! `.fvecs`: each vector after its dimension, an int32; float32 values; all little-endian. The form of
//! the TEXMEX data sets (Jégou, Douze and Schmid 2011).

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use simdex::engine::walk::Row;
use simdex::{Error, Result};

use super::npy_rows::joined;
use super::{About, ReadRow, ReadRows, Staged, WriteRows, beside, open, wrong};

/// Bytes of a dimension or value.
const WORD: usize = 4;

/// Writes vectors, and their ids beside them.
pub(super) struct Writer {
    out: BufWriter<File>,
    lines: beside::Writer,
    prefix: [u8; WORD],
}

impl Writer {
    pub(super) fn begin(staged: &Staged, dim: usize) -> Result<Self> {
        let out = BufWriter::with_capacity(1 << 20, staged.file()?);
        let prefix = i32::try_from(dim).map_err(|_| {
            Error::new(simdex::ErrorKind::Invalid, format!("{dim} dimensions don't fit .fvecs"))
        })?;
        let lines = beside::Writer::new(staged.file_beside()?);
        Ok(Self { out, lines, prefix: prefix.to_le_bytes() })
    }
}

impl WriteRows for Writer {
    fn write(&mut self, row: &Row) -> Result<()> {
        self.out.write_all(&self.prefix)?;
        for value in &row.vector {
            self.out.write_all(&value.to_le_bytes())?;
        }
        self.lines.write(row)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush()?;
        self.lines.finish()
    }
}

/// Reads vectors from any bytes. All must have one dimension.
pub struct Vectors<R> {
    bytes: R,
    dim: usize,
    rows: u64,
    read: u64,
    row: Vec<u8>,
}

/// What is wrong with bytes that are not `.fvecs`.
pub type Fault = String;

impl<R: Read> Vectors<R> {
    /// Reads the first dimension; `length` is that of all bytes.
    ///
    /// # Errors
    /// When the bytes can't be vectors of that dimension.
    pub fn new(mut bytes: R, length: u64) -> Result<Self, Fault> {
        if length == 0 {
            return Err("it is empty".to_owned());
        }
        let mut prefix = [0; WORD];
        bytes.read_exact(&mut prefix).map_err(|error| format!("it can't be read: {error}"))?;
        let dim = dimension(prefix)?;
        let size = WORD as u64 * (1 + dim as u64);
        if !length.is_multiple_of(size) {
            return Err(format!(
                "its {length} bytes are not whole vectors of {dim} dimensions, {size} bytes each: it \
                 is cut short or not .fvecs"
            ));
        }
        // No more than the bytes there are.
        let row = vec![0; dim * WORD];
        Ok(Self { bytes, dim, rows: length / size, read: 0, row })
    }

    /// How many values each vector has.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many vectors there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next vector; `None` after the last. Values may be infinite or NaN.
    ///
    /// # Errors
    /// When it has another dimension than the first, or can't be read.
    pub fn next_vector(&mut self) -> Result<Option<Vec<f32>>, Fault> {
        if self.read == self.rows {
            return Ok(None);
        }
        let number = self.read;
        let failed = |error| format!("vector {number} can't be read: {error}");
        if number > 0 {
            let mut prefix = [0; WORD];
            self.bytes.read_exact(&mut prefix).map_err(failed)?;
            let dim = dimension(prefix)?;
            if dim != self.dim {
                let first = self.dim;
                return Err(format!("vector {number} has {dim} dimensions, the first has {first}"));
            }
        }
        self.bytes.read_exact(&mut self.row).map_err(failed)?;
        self.read += 1;
        let (words, _) = self.row.as_chunks::<WORD>();
        Ok(Some(words.iter().map(|word| f32::from_le_bytes(*word)).collect()))
    }
}

fn dimension(prefix: [u8; WORD]) -> Result<usize, Fault> {
    let number = i32::from_le_bytes(prefix);
    match usize::try_from(number) {
        Ok(dim) if dim > 0 => Ok(dim),
        _ => Err(format!("a vector of {number} dimensions: it is not .fvecs")),
    }
}

/// Reads rows: vectors, and the ids beside them.
pub(super) struct RowReader {
    vectors: Vectors<BufReader<File>>,
    path: std::path::PathBuf,
    lines: beside::Reader<BufReader<File>>,
    about: About,
}

impl RowReader {
    pub(super) fn open(path: &Path, beside: &Path) -> Result<Self> {
        let (file, length) = open(path)?;
        let file = BufReader::with_capacity(1 << 20, file);
        let vectors = Vectors::new(file, length).map_err(|fault| wrong(path, fault))?;
        let about = About { dimensions: vectors.dim(), ..About::default() };
        let lines = beside::Reader::open(beside)?;
        Ok(Self { vectors, path: path.to_owned(), lines, about })
    }
}

impl ReadRows for RowReader {
    fn about(&self) -> &About {
        &self.about
    }

    fn rows(&self) -> u64 {
        self.vectors.rows()
    }

    fn next_row(&mut self) -> Result<Option<ReadRow>> {
        let rows = self.rows();
        match self.vectors.next_vector().map_err(|fault| wrong(&self.path, fault))? {
            Some(vector) => joined(vector, &mut self.lines, self.vectors.read, rows).map(Some),
            None => {
                self.lines.end(rows)?;
                Ok(None)
            }
        }
    }
}
