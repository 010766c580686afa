//! What a file says of itself, and whether that can be used.

use std::io::Read;
use std::path::{Path, PathBuf};

use npyz::{DType, NpyHeader, Order};

use simdex::{Error, Result};

use super::element::Element;
use crate::files::guarded;

/// The magic that every .npy file begins with.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The header of one file.
pub(super) struct Header {
    path: PathBuf,
    inner: NpyHeader,
    /// Bytes after the header.
    data: u64,
}

impl Header {
    /// Reads the header, and leaves `file` (of `length` bytes) at the first number.
    pub(super) fn read(path: &Path, file: &mut impl Read, length: u64) -> Result<Self> {
        let wrong = |what: String| crate::files::wrong(path, what);
        let mut magic = [0; MAGIC.len()];
        if file.read_exact(&mut magic).is_err() || magic != MAGIC {
            return Err(wrong("not a .npy file".to_owned())
                .hint("write one with numpy.save; archives (.npz) must be unpacked"));
        }
        let mut counted = Counted { inner: MAGIC.chain(file), bytes: 0 };
        let inner = guarded(path, || {
            NpyHeader::from_reader(&mut counted)
                .map_err(|error| wrong(format!("its header can't be read: {error}")))
        })?;
        Ok(Self { path: path.to_owned(), inner, data: length.saturating_sub(counted.bytes) })
    }

    /// Something that is wrong with this file.
    pub(super) fn wrong(&self, what: &str) -> Error {
        crate::files::wrong(&self.path, what)
    }

    /// The one of `known` that the file holds.
    pub(super) fn element<T>(
        &self,
        known: &'static [Element<T>],
        hint: &str,
    ) -> Result<&'static Element<T>> {
        let name = match self.inner.dtype() {
            DType::Plain(plain) => plain.to_string(),
            other => other.descr(),
        };
        known.iter().find(|element| element.name == name).ok_or_else(|| {
            self.wrong(&format!("its numbers are of type `{name}`"))
                .hint(format!("{hint}, little-endian (numpy's astype)"))
        })
    }

    /// Rows and columns, of elements with `bytes` bytes.
    pub(super) fn size(&self, bytes: usize) -> Result<(usize, usize)> {
        let &[rows, columns] = self.inner.shape() else {
            let shape: Vec<_> = self.inner.shape().iter().map(u64::to_string).collect();
            let shape = format!("its shape is ({}), expected (rows, columns)", shape.join(", "));
            return Err(self.wrong(&shape));
        };
        if self.inner.order() == Order::Fortran {
            return Err(self
                .wrong("its values are in Fortran order, column by column")
                .hint("save numpy.ascontiguousarray(…)"));
        }
        if rows == 0 || columns == 0 {
            return Err(self.wrong(&format!("it holds {rows} rows of {columns} values")));
        }
        let needed = rows.checked_mul(columns).and_then(|values| values.checked_mul(bytes as u64));
        let size = usize::try_from(rows).ok().zip(usize::try_from(columns).ok());
        match (needed, size) {
            (Some(needed), Some(size)) if needed <= self.data => Ok(size),
            _ => Err(self.wrong(&format!(
                "it is cut short: {} bytes of data for {rows} rows of {columns} values of {bytes} bytes",
                self.data
            ))),
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
