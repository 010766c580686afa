//! A collection into a file.

use std::fs::Permissions;
use std::path::{Path, PathBuf};

use serde::Serialize;
use simdex::engine::walk::{Outline, Walk, Walked};
use simdex::error::Hint;
use simdex::observe::Observer;
use simdex::{Error, ErrorKind, Result};

use crate::digest::Digest;
use crate::files::{self, About, FileFormat, Overwrite, ReadRow, Staged};
use crate::tally::{Bad, Tally};

/// How many rows pass between two reports of progress.
const ROWS_BETWEEN_REPORTS: u64 = 1024;

/// What is written.
#[derive(Debug, Clone)]
pub struct FileRequest<'a> {
    /// The form.
    pub format: FileFormat,
    /// The file.
    pub path: &'a Path,
    /// What becomes of a file that is there already.
    pub overwrite: Overwrite,
    /// The permissions of the file, less the umask: those of the database, since vectors tell what
    /// they were made from.
    pub permissions: Permissions,
    /// What becomes of rows that can't be carried.
    pub bad: Bad,
}

/// What was carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// The collection.
    pub collection: String,
    /// The model of its vectors.
    pub model: Option<String>,
    /// Rows carried.
    pub rows: u64,
    /// Their dimensions.
    pub dimensions: usize,
    /// Rows left out.
    pub skipped: u64,
    /// Why, and which.
    pub reasons: Tally,
    /// How many rows were read back and found the same.
    pub verified: u64,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// Writes all rows of a collection into a file, reads the file back, and only then gives it its name.
/// Memory does not grow with the rows.
///
/// # Errors
/// `AlreadyExists`; `Invalid` for a collection without vectors and, where they are refused, for rows
/// that can't be carried; those of reading the database and writing the file; `Cancelled`. Then no
/// file is left.
pub fn to_file(walk: &Walk, request: &FileRequest<'_>, observer: &dyn Observer) -> Result<Carried> {
    let FileRequest { format, path, overwrite, permissions, bad } = request;
    let staged = Staged::new(path, *format, *overwrite, permissions)?;
    let standing = walk.begin()?;
    let outline = standing.outline().clone();
    let Some(dimensions) = outline.dimensions else { return Err(nothing(&outline)) };
    let about =
        About { collection: Some(outline.name.clone()), model: outline.model.clone(), dimensions };
    let mut writer = files::write(*format, &staged, &about)?;
    let mut written = Digest::default();
    let mut reasons = Tally::default();
    let mut done = 0;
    standing.rows(observer, |row| {
        match row {
            Walked::Bad(id, fault) => reasons.add(id, fault, *bad)?,
            Walked::Sound(row) => {
                written.add(&row);
                writer.write(&row)?;
            }
        }
        done += 1;
        if done % ROWS_BETWEEN_REPORTS == 0 {
            observer.progress("writing", done, Some(outline.rows));
        }
        Ok(())
    })?;
    drop(standing);
    writer.finish()?;
    if written.rows() == 0 {
        return Err(nothing(&outline));
    }
    verify(*format, &staged, &about, &written, observer)?;
    let files = staged.publish()?;
    Ok(Carried {
        collection: outline.name,
        model: outline.model,
        rows: written.rows(),
        dimensions,
        skipped: reasons.rows(),
        reasons,
        verified: written.rows(),
        files,
    })
}

fn nothing(outline: &Outline) -> Error {
    let message = format!("collection `{}` has no row that could be carried", outline.name);
    Error::new(ErrorKind::Invalid, message)
        .hint(Hint::command("see what is wrong with them", ["collections"]))
}

/// Reads back what was written and compares every row.
fn verify(
    format: FileFormat,
    staged: &Staged,
    about: &About,
    written: &Digest,
    observer: &dyn Observer,
) -> Result<()> {
    let (path, beside) = staged.paths();
    let mut reader = files::read(format, path, beside)?;
    let mut found = Digest::default();
    let wrong = |what: &str| {
        Error::new(ErrorKind::Io, format!("what was written can't be read back: {what}"))
    };
    if reader.about().dimensions != about.dimensions {
        return Err(wrong("another number of dimensions"));
    }
    while let Some(row) = reader.next_row()? {
        match row {
            ReadRow::Sound(row) => found.add(&row),
            ReadRow::Bad(id, reason) => return Err(wrong(&format!("row `{id}`: {reason}"))),
        }
        if found.rows() % ROWS_BETWEEN_REPORTS == 0 {
            observer.checkpoint()?;
            observer.progress("reading back", found.rows(), Some(written.rows()));
        }
    }
    match found == *written {
        true => Ok(()),
        false => Err(wrong("rows are missing or differ")),
    }
}
