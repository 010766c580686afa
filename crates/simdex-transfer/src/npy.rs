//! NumPy's .npy files: rows of numbers, read in one pass without a second copy.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use simdex::matrix::{Matrix, MatrixBuilder};
use simdex::observe::Observer;
use simdex::{Error, ErrorKind, Result};

mod element;
mod header;

use element::{Element, FLOATS, INTEGERS};
use header::Header;

/// How many rows pass between two reports of progress.
const ROWS_BETWEEN_REPORTS: u64 = 4096;

/// The rows of a file of vectors: two dimensions of float16, float32 or float64.
///
/// # Errors
/// `NotFound` and `Invalid`, for files of another form and for values that float32 can't hold.
pub fn vectors(path: &Path, observer: &dyn Observer) -> Result<Matrix> {
    let mut file = Vectors::open(path)?;
    let rows = file.rows();
    let mut builder = MatrixBuilder::new(file.dim(), rows)?;
    each(path, rows, observer, |number| {
        let row = builder.add_row();
        file.next_row(row)?;
        match row.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let value = row[at];
                let message =
                    format!("value {at} of row {number} is {value}, not a finite float32");
                Err(file.numbers.header.wrong(&message))
            }
            None => Ok(()),
        }
    })?;
    builder.finish()
}

/// The rows of a file of row numbers: two dimensions of int32 or int64.
///
/// # Errors
/// `NotFound` and `Invalid`, for files of another form and for numbers that can't be row numbers.
pub fn row_numbers(path: &Path, observer: &dyn Observer) -> Result<Vec<Vec<u32>>> {
    let mut file = Numbers::open(path, INTEGERS, "use int32 or int64")?;
    let mut lists = Vec::new();
    let mut row = vec![0; file.columns];
    each(path, file.rows, observer, |number| {
        file.next(&mut row)?;
        let row_number = |value: &i64| {
            u32::try_from(*value).map_err(|_| {
                let message = format!("row {number} holds {value}, which is not a row number");
                file.header.wrong(&message)
            })
        };
        lists.push(row.iter().map(row_number).collect::<Result<_>>()?);
        Ok(())
    })?;
    Ok(lists)
}

fn each(
    path: &Path,
    rows: usize,
    observer: &dyn Observer,
    mut visit: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let stage = format!("reading {}", path.display());
    for row in 0..rows as u64 {
        if row.is_multiple_of(ROWS_BETWEEN_REPORTS) {
            observer.checkpoint()?;
            observer.progress(&stage, row, Some(rows as u64));
        }
        visit(row)?;
    }
    Ok(())
}

/// A file of vectors, read row by row.
pub struct Vectors {
    numbers: Numbers<f32>,
}

impl Vectors {
    /// Reads what the file says of itself: two dimensions of float16, float32 or float64.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for files of another form, or shorter than they say.
    pub fn open(path: &Path) -> Result<Self> {
        let numbers = Numbers::open(path, FLOATS, "use float16, float32 or float64")?;
        Ok(Self { numbers })
    }

    /// How many vectors there are.
    pub fn rows(&self) -> usize {
        self.numbers.rows
    }

    /// How many values each has.
    pub fn dim(&self) -> usize {
        self.numbers.columns
    }

    /// Fills `row` with the next vector, rounded to float32; they may be infinite or NaN.
    ///
    /// # Errors
    /// `Invalid` past the end.
    pub fn next_row(&mut self, row: &mut [f32]) -> Result<()> {
        self.numbers.next(row)
    }
}

/// A file of numbers of one type, read row by row.
struct Numbers<T: 'static> {
    file: BufReader<File>,
    header: Header,
    element: &'static Element<T>,
    rows: usize,
    columns: usize,
    bytes: Vec<u8>,
    read: usize,
}

impl<T> Numbers<T> {
    fn open(path: &Path, known: &'static [Element<T>], hint: &str) -> Result<Self> {
        let (file, length) = crate::files::open(path)?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let header = Header::read(path, &mut file, length)?;
        let element = header.element(known, hint)?;
        let (rows, columns) = header.size(element.bytes)?;
        let bytes = vec![0; columns * element.bytes];
        Ok(Self { file, header, element, rows, columns, bytes, read: 0 })
    }

    fn next(&mut self, row: &mut [T]) -> Result<()> {
        if self.read == self.rows {
            return Err(Error::new(ErrorKind::Invalid, "read past the last row"));
        }
        self.file.read_exact(&mut self.bytes).map_err(|error| {
            self.header.wrong(&format!("row {} can't be read: {error}", self.read))
        })?;
        self.read += 1;
        for (value, bytes) in row.iter_mut().zip(self.bytes.chunks_exact(self.element.bytes)) {
            *value = (self.element.decode)(bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
