//! A file into a collection of llm's.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest as _, Md5};
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior, params};
use serde::Serialize;
use simdex::engine::walk::{Extras, Row};
use simdex::observe::Observer;
use simdex::{Error, ErrorKind, Result};

use crate::files::{ReadRow, ReadRows};
use crate::llm::{self, Known};
use crate::tally::{Bad, Tally};

/// How many rows pass between two reports of progress.
const ROWS_BETWEEN_REPORTS: u64 = 1024;

/// How long to wait for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What becomes of a collection of that name that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and that is an error.
    Refuse,
    /// Rows are added to it; those with an id that it has are replaced.
    Append,
    /// Its rows go first.
    Replace,
}

/// What is made of a file.
#[derive(Debug, Clone)]
pub struct ImportRequest<'a> {
    /// The database; made if need be.
    pub database: &'a Path,
    /// The collection.
    pub collection: &'a str,
    /// The model of the vectors; `None`: as the file or the collection says.
    pub model: Option<&'a str>,
    /// What becomes of a collection of that name.
    pub existing: Existing,
    /// What becomes of rows that can't be stored.
    pub bad: Bad,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The collection.
    pub collection: String,
    /// The model of its vectors.
    pub model: String,
    /// Rows stored.
    pub rows: u64,
    /// Their dimensions.
    pub dimensions: usize,
    /// Rows left out.
    pub skipped: u64,
    /// Why, and which.
    pub reasons: Tally,
}

/// Stores the rows of a file as a collection, in one transaction: all of them or none. Memory does not
/// grow with the rows.
///
/// # Errors
/// `AlreadyExists`; `Invalid` for files that can't be read, for another model or dimension than the
/// collection's and, where they are refused, for rows that can't be stored; those of SQLite;
/// `Cancelled`. Then the database is as it was.
pub fn import(
    file: &mut dyn ReadRows,
    request: &ImportRequest<'_>,
    observer: &dyn Observer,
) -> Result<Imported> {
    let made = New::at(request.database);
    let imported = run(file, request, observer);
    if imported.is_err() {
        made.undo();
    }
    imported
}

/// A database that was not there before.
struct New<'a>(Option<&'a Path>);

impl<'a> New<'a> {
    fn at(path: &'a Path) -> Self {
        Self((!path.try_exists().unwrap_or(true)).then_some(path))
    }

    /// SQLite makes a file as it begins; an import that fails leaves none.
    fn undo(self) {
        if let Some(path) = self.0
            && path.metadata().is_ok_and(|data| data.len() == 0)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn run(
    file: &mut dyn ReadRows,
    request: &ImportRequest<'_>,
    observer: &dyn Observer,
) -> Result<Imported> {
    let place = |error: Error| error.with("database", request.database.display());
    let mut db = Connection::open(request.database).map_err(|error| place(error.into()))?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // Before anything is read, so that nobody makes the collection meanwhile.
    let behavior = TransactionBehavior::Immediate;
    let transaction =
        db.transaction_with_behavior(behavior).map_err(|error| place(error.into()))?;
    let imported = store(&transaction, file, request, observer)?;
    transaction.commit()?;
    Ok(imported)
}

fn store(
    transaction: &Transaction<'_>,
    file: &mut dyn ReadRows,
    request: &ImportRequest<'_>,
    observer: &dyn Observer,
) -> Result<Imported> {
    llm::ensure_tables(transaction)?;
    let (id, model) = collection(transaction, file, request)?;
    let dimensions = file.about().dimensions;
    check_size(transaction, id, dimensions, request)?;
    let total = file.rows();
    let mut insert = Insert::prepare(transaction, id, request.existing)?;
    let mut reasons = Tally::default();
    let (mut rows, mut done) = (0, 0);
    while let Some(row) = file.next_row()? {
        match row {
            ReadRow::Bad(id, reason) => reasons.add(id, reason, request.bad)?,
            ReadRow::Sound(row) => match insert.row(&row)? {
                Stored::Yes => rows += 1,
                Stored::IdTaken => {
                    reasons.add(&row.id, "an id that an earlier row has", request.bad)?;
                }
            },
        }
        done += 1;
        if done % ROWS_BETWEEN_REPORTS == 0 {
            observer.checkpoint()?;
            observer.progress("storing", done, Some(total));
        }
    }
    if rows == 0 {
        return Err(Error::new(ErrorKind::Invalid, "the file has no row that could be stored"));
    }
    let skipped = reasons.rows();
    let collection = request.collection.to_owned();
    Ok(Imported { collection, model, rows, dimensions, skipped, reasons })
}

/// The collection to store in: its number and model.
fn collection(
    db: &Connection,
    file: &dyn ReadRows,
    request: &ImportRequest<'_>,
) -> Result<(i64, String)> {
    let name = request.collection;
    let said = request.model.or(file.about().model.as_deref());
    let known = llm::find(db, name)?;
    match (known, request.existing) {
        (None, _) => {
            let model = said.ok_or_else(no_model)?;
            Ok((llm::create(db, name, model)?, model.to_owned()))
        }
        (Some(_), Existing::Refuse) => {
            let message = format!("there is a collection `{name}` already");
            Err(Error::new(ErrorKind::AlreadyExists, message)
                .with("database", request.database.display())
                .hint("choose another name, add to it with --append, or replace it with --replace"))
        }
        (Some(Known { id, model }), Existing::Append) => {
            let model = model.ok_or_else(no_model)?;
            match said {
                Some(other) if other != model => {
                    let message = format!(
                        "the vectors are of model `{other}`, those of `{name}` of `{model}`"
                    );
                    Err(Error::new(ErrorKind::Invalid, message).hint(format!(
                        "if both names stand for one model, say so with --model {model}"
                    )))
                }
                _ => Ok((id, model)),
            }
        }
        (Some(Known { id, model }), Existing::Replace) => {
            let model = said.map(str::to_owned).or(model).ok_or_else(no_model)?;
            db.execute("DELETE FROM main.embeddings WHERE collection_id = ?", [id])?;
            db.execute("UPDATE main.collections SET model = ? WHERE id = ?", params![model, id])?;
            Ok((id, model))
        }
    }
}

fn no_model() -> Error {
    Error::new(ErrorKind::Invalid, "the file does not say which model its vectors are of")
        .hint("name it with --model, so that llm can embed queries with it")
}

/// Vectors of one collection are of one size.
fn check_size(
    db: &Connection,
    id: i64,
    dimensions: usize,
    request: &ImportRequest<'_>,
) -> Result<()> {
    if request.existing != Existing::Append {
        return Ok(());
    }
    let sql = "SELECT length(embedding) / 4, count(*) AS number FROM main.embeddings
        WHERE collection_id = ? AND typeof(embedding) = 'blob' GROUP BY 1 ORDER BY number DESC, 1 DESC";
    let mut sizes = db.prepare(sql)?;
    let mut sizes = sizes.query_map([id], |row| row.get::<_, i64>(0))?;
    let known = sizes.next().transpose()?;
    match known {
        Some(known) if usize::try_from(known).is_ok_and(|known| known != dimensions) => {
            let message = format!(
                "the vectors have {dimensions} dimensions, those of `{}` have {known}",
                request.collection
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
        _ => Ok(()),
    }
}

/// Whether a row was stored.
enum Stored {
    Yes,
    IdTaken,
}

/// Stores rows as llm does.
struct Insert<'a> {
    statement: CachedStatement<'a>,
    collection: i64,
    now: i64,
    blob: Vec<u8>,
}

impl<'a> Insert<'a> {
    fn prepare(db: &'a Connection, collection: i64, existing: Existing) -> Result<Self> {
        // In a collection of the file's rows alone, an id that is taken was in the file twice.
        let taken = if existing == Existing::Append { "REPLACE" } else { "IGNORE" };
        let statement = db.prepare_cached(&format!(
            "INSERT OR {taken} INTO main.embeddings
                 (collection_id, id, embedding, content, content_blob, content_hash, metadata, updated)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        ))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { statement, collection, now: now as i64, blob: Vec::new() })
    }

    fn row(&mut self, row: &Row) -> Result<Stored> {
        self.blob.clear();
        self.blob.extend(row.vector.iter().flat_map(|value| value.to_le_bytes()));
        let Extras { content, content_blob, content_hash, metadata, updated } = &row.extras;
        let hash = content_hash.clone().or_else(|| hash(&row.extras));
        let updated = updated.unwrap_or(self.now);
        let stored = self.statement.execute(params![
            self.collection,
            row.id,
            self.blob,
            content,
            content_blob,
            hash,
            metadata,
            updated
        ])?;
        Ok(if stored == 0 { Stored::IdTaken } else { Stored::Yes })
    }
}

/// The hash that llm would have stored, where what it embedded is known: with it, llm does not embed
/// the same again.
fn hash(extras: &Extras) -> Option<Vec<u8>> {
    let text = extras.content.as_deref().map(str::as_bytes);
    let embedded = text.or(extras.content_blob.as_deref())?;
    Some(Md5::digest(embedded).to_vec())
}
