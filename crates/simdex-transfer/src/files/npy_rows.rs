//! Rows in a `.npy` file, with their ids beside it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use simdex::engine::walk::Row;
use simdex::{Error, ErrorKind, Result};

use super::{About, ReadRow, ReadRows, Staged, WriteRows, beside, not_finite};
use crate::npy::Vectors;

/// Bytes before the first number: what NumPy writes, with room for every shape.
const HEADER: usize = 128;

/// Writes float32, rows × dimensions.
pub(super) struct Writer {
    out: BufWriter<File>,
    lines: beside::Writer,
    rows: u64,
    dim: usize,
}

impl Writer {
    pub(super) fn begin(staged: &Staged, dim: usize) -> Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, staged.file()?);
        // The number of rows is known at the end.
        out.write_all(&header(0, dim)?)?;
        Ok(Self { out, lines: beside::Writer::new(staged.file_beside()?), rows: 0, dim })
    }
}

impl WriteRows for Writer {
    fn write(&mut self, row: &Row) -> Result<()> {
        for value in &row.vector {
            self.out.write_all(&value.to_le_bytes())?;
        }
        self.rows += 1;
        self.lines.write(row)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.rows, self.dim)?)?;
        self.out.flush()?;
        self.lines.finish()
    }
}

/// The header of format 1.0, by NumPy's `numpy.lib.format`.
fn header(rows: u64, dim: usize) -> Result<[u8; HEADER]> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    let mut bytes = [b' '; HEADER];
    let prefix = b"\x93NUMPY\x01\x00";
    let length = (HEADER - prefix.len() - 2) as u16;
    let parts: [&[u8]; 3] = [prefix, &length.to_le_bytes(), text.as_bytes()];
    let start = parts.concat();
    match (bytes.get_mut(..start.len()), start.len() < HEADER) {
        (Some(place), true) => place.copy_from_slice(&start),
        _ => return Err(Error::new(ErrorKind::Internal, "a header of too many bytes")),
    }
    bytes[HEADER - 1] = b'\n';
    Ok(bytes)
}

/// Reads them.
pub(super) struct Reader {
    vectors: Vectors,
    lines: beside::Reader<BufReader<File>>,
    about: About,
    read: u64,
}

impl Reader {
    pub(super) fn open(path: &Path, beside: &Path) -> Result<Self> {
        let vectors = Vectors::open(path)?;
        let about = About { dimensions: vectors.dim(), ..About::default() };
        Ok(Self { vectors, lines: beside::Reader::open(beside)?, about, read: 0 })
    }
}

impl ReadRows for Reader {
    fn about(&self) -> &About {
        &self.about
    }

    fn rows(&self) -> u64 {
        self.vectors.rows() as u64
    }

    fn next_row(&mut self) -> Result<Option<ReadRow>> {
        if self.read == self.rows() {
            self.lines.end(self.read)?;
            return Ok(None);
        }
        let mut vector = vec![0.0; self.about.dimensions];
        self.vectors.next_row(&mut vector)?;
        self.read += 1;
        joined(vector, &mut self.lines, self.read, self.vectors.rows() as u64).map(Some)
    }
}

/// A vector with the next line of the file beside it.
pub(super) fn joined(
    vector: Vec<f32>,
    lines: &mut beside::Reader<BufReader<File>>,
    number: u64,
    rows: u64,
) -> Result<ReadRow> {
    let Some((id, extras)) = lines.next_line()? else { return Err(lines.too_few(rows)) };
    let Some(id) = id else { return Ok(ReadRow::Bad(format!("number {number}"), "no id".into())) };
    Ok(match not_finite(&vector) {
        Some(reason) => ReadRow::Bad(id, reason),
        None => ReadRow::Sound(Row { id, vector, extras }),
    })
}
