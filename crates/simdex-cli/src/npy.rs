//! NumPy's .npy files: rows of numbers, read in one pass without a second copy.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use simdex::matrix::{Matrix, MatrixBuilder};
use simdex::observe::Observer;

use crate::failure::UserError;

mod element;
mod header;

use element::{FLOATS, INTEGERS};
use header::Header;

/// How many rows pass between two reports of progress.
const ROWS_BETWEEN_REPORTS: u64 = 4096;

/// The rows of a file of vectors: two dimensions of float16, float32 or float64.
///
/// # Errors
/// The user's, for files of another form and for values that float32 can't hold.
pub(crate) fn vectors(path: &Path, observer: &dyn Observer) -> anyhow::Result<Matrix> {
    let (mut file, header) = open(path)?;
    let float = header.element(FLOATS, "use float16, float32 or float64")?;
    let (rows, dim) = header.size(float.bytes)?;
    let mut builder = MatrixBuilder::new(dim, rows)?;
    let mut bytes = vec![0; dim * float.bytes];
    each_row(path, &mut file, &mut bytes, rows, observer, |number, bytes| {
        let row = builder.add_row();
        for (value, bytes) in row.iter_mut().zip(bytes.chunks_exact(float.bytes)) {
            *value = (float.decode)(bytes);
        }
        match row.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let value = row[at];
                let message =
                    format!("value {at} of row {number} is {value}, not a finite float32");
                Err(header.wrong(&message).into())
            }
            None => Ok(()),
        }
    })?;
    Ok(builder.finish()?)
}

/// The rows of a file of row numbers: two dimensions of int32 or int64.
///
/// # Errors
/// The user's, for files of another form and for numbers that can't be row numbers.
pub(crate) fn row_numbers(path: &Path, observer: &dyn Observer) -> anyhow::Result<Vec<Vec<u32>>> {
    let (mut file, header) = open(path)?;
    let integer = header.element(INTEGERS, "use int32 or int64")?;
    let (rows, columns) = header.size(integer.bytes)?;
    let mut lists = Vec::new();
    let mut bytes = vec![0; columns * integer.bytes];
    each_row(path, &mut file, &mut bytes, rows, observer, |number, bytes| {
        let mut list = Vec::with_capacity(columns);
        for bytes in bytes.chunks_exact(integer.bytes) {
            let value = (integer.decode)(bytes);
            list.push(u32::try_from(value).map_err(|_| {
                header.wrong(&format!("row {number} holds {value}, which is not a row number"))
            })?);
        }
        lists.push(list);
        Ok(())
    })?;
    Ok(lists)
}

fn open(path: &Path) -> anyhow::Result<(BufReader<File>, Header)> {
    let failed = |error| UserError::new(format!("can't read {}: {error}", path.display()));
    if path.is_dir() {
        return Err(UserError::new(format!("{} is a folder, not a file", path.display())).into());
    }
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let header = Header::read(path, &mut reader, length)?;
    Ok((reader, header))
}

/// Reads row after row into `bytes` and hands each to `visit`.
fn each_row(
    path: &Path,
    file: &mut impl Read,
    bytes: &mut [u8],
    rows: usize,
    observer: &dyn Observer,
    mut visit: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stage = format!("reading {}", path.display());
    for row in 0..rows as u64 {
        if row.is_multiple_of(ROWS_BETWEEN_REPORTS) {
            observer.checkpoint()?;
            observer.progress(&stage, row, Some(rows as u64));
        }
        file.read_exact(bytes).map_err(|error| {
            UserError::new(format!("can't read row {row} of {}: {error}", path.display()))
        })?;
        visit(row, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
