//! Files of rows: Parquet, or vectors in `.npy` or `.fvecs` beside one line of JSON a row.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;
use simdex::engine::walk::Row;
use simdex::{Error, ErrorKind, Result};

pub mod beside;
pub mod fvecs;
mod npy_rows;
#[cfg(feature = "parquet")]
mod parquet_in;
#[cfg(feature = "parquet")]
mod parquet_out;
mod staged;

pub use beside::beside;
pub use staged::{Overwrite, Staged};

/// A form of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Apache Parquet: everything in one file.
    #[cfg(feature = "parquet")]
    Parquet,
    /// NumPy's array file, rows × dimensions of float32.
    Npy,
    /// TEXMEX's file of vectors, each after its dimension.
    Fvecs,
}

impl FileFormat {
    /// Every form, in the order of the help text.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "parquet")]
        Self::Parquet,
        Self::Npy,
        Self::Fvecs,
    ];

    /// The name users type, and the suffix of the file.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
            Self::Npy => "npy",
            Self::Fvecs => "fvecs",
        }
    }

    /// The form that the suffix of a file's name says.
    ///
    /// # Errors
    /// `Invalid` for other suffixes.
    pub fn of(path: &Path) -> Result<Self> {
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        suffix.to_ascii_lowercase().parse().map_err(|_| {
            let message = format!("{}: the name does not say what the file is", path.display());
            Error::new(ErrorKind::Invalid, message)
                .hint("names end in .parquet, .npy or .fvecs; rename the file")
        })
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FileFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.name() == text)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, format!("unknown form of file `{text}`")))
    }
}

/// What a file says of all its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The collection that the rows come from.
    pub collection: Option<String>,
    /// The model of the vectors.
    pub model: Option<String>,
    /// The number of dimensions.
    pub dimensions: usize,
}

/// Writes rows, one after the other.
pub trait WriteRows {
    /// Writes a row.
    ///
    /// # Errors
    /// `Io`.
    fn write(&mut self, row: &Row) -> Result<()>;

    /// Ends the file; nothing of it is missing on disk then.
    ///
    /// # Errors
    /// `Io`.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A row of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadRow {
    /// One that can be stored.
    Sound(Row),
    /// One that can't: its id or number, and why.
    Bad(String, String),
}

/// Reads rows, one after the other.
pub trait ReadRows {
    /// What the file says of all of them.
    fn about(&self) -> &About;

    /// How many there are.
    fn rows(&self) -> u64;

    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// `Invalid` for a file that is cut short or not what its name says.
    fn next_row(&mut self) -> Result<Option<ReadRow>>;
}

/// Begins to write a file and, where the form needs one, another beside it.
///
/// # Errors
/// `Invalid`, `Io`.
pub fn write(format: FileFormat, staged: &Staged, about: &About) -> Result<Box<dyn WriteRows>> {
    Ok(match format {
        #[cfg(feature = "parquet")]
        FileFormat::Parquet => Box::new(parquet_out::Writer::begin(staged.file()?, about)?),
        FileFormat::Npy => Box::new(npy_rows::Writer::begin(staged, about.dimensions)?),
        FileFormat::Fvecs => Box::new(fvecs::Writer::begin(staged, about.dimensions)?),
    })
}

/// Begins to read a file; `beside` holds the ids where the form has no place for them.
///
/// # Errors
/// `NotFound`, `Invalid`, `Io`.
pub fn read(format: FileFormat, path: &Path, beside: &Path) -> Result<Box<dyn ReadRows>> {
    Ok(match format {
        #[cfg(feature = "parquet")]
        FileFormat::Parquet => Box::new(parquet_in::Reader::open(path)?),
        FileFormat::Npy => Box::new(npy_rows::Reader::open(path, beside)?),
        FileFormat::Fvecs => Box::new(fvecs::RowReader::open(path, beside)?),
    })
}

/// Something that is wrong with a file.
pub(crate) fn wrong(path: &Path, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("{}: {what}", path.display()))
}

/// Reads with another crate's decoders, which are not written to survive every damaged file: what
/// panics in them is an error here.
pub(crate) fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(wrong(path, "it is damaged and can't be read")))
}

/// Opens a file to read, and its length in bytes.
pub(crate) fn open(path: &Path) -> Result<(std::fs::File, u64)> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Invalid,
        };
        Error::new(kind, format!("can't read {}: {error}", path.display()))
    };
    if path.is_dir() {
        let message = format!("{} is a folder, not a file", path.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file, length))
}

/// The first value that is not finite, as a reason to leave the row out.
pub(crate) fn not_finite(vector: &[f32]) -> Option<String> {
    let at = vector.iter().position(|value| !value.is_finite())?;
    Some(format!("NaN or infinite value (the first is number {at})"))
}
