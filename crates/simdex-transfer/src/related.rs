//! A table of the rows closest to each row of a collection, kept in step with it.
//!
//! ```text
//! similarities(id, other_id, score)               the table, under the user's name
//! _simdex_related(name, collection, k, seed)      what each such table is of
//! _simdex_related_rows(name, id, fingerprint)     the rows as they were then
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::Serialize;
use simdex::engine::related::{self, Before, Related, Vectors};
use simdex::engine::walk::Walk;
use simdex::observe::Observer;
use simdex::store::database::quote;
use simdex::types::{Metric, Neighbor};
use simdex::{Error, ErrorKind, Result};

/// How long to wait for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many rows pass between two reports of progress.
const ROWS_BETWEEN_REPORTS: u64 = 1024;

const STATE: &str = "
    CREATE TABLE IF NOT EXISTS main._simdex_related (
        name TEXT PRIMARY KEY, collection TEXT NOT NULL, k INTEGER NOT NULL, seed INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS main._simdex_related_rows (
        name TEXT NOT NULL, id TEXT NOT NULL, fingerprint INTEGER NOT NULL,
        PRIMARY KEY (name, id)) WITHOUT ROWID;";

/// What is kept in step.
#[derive(Debug, Clone)]
pub struct RelatedRequest<'a> {
    /// The database with the table; made if need be.
    pub output: &'a Path,
    /// The table.
    pub table: &'a str,
    /// How many rows each list holds.
    pub k: usize,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The collection.
    pub collection: String,
    /// The table.
    pub table: String,
    /// How many rows each list holds, at most.
    pub k: usize,
    /// Rows that have a list.
    pub rows: u64,
    /// Rows that are new or have changed since the last time.
    pub changed: u64,
    /// Rows gone since then.
    pub gone: u64,
    /// Lists that were written.
    pub lists: u64,
    /// Rows that can't be compared.
    pub skipped: u64,
}

/// Brings the table up to date, in one transaction. The result is that of computing it from nothing.
///
/// # Errors
/// `Invalid` when the table is not one of these, or of another collection; those of reading the
/// collection and of SQLite; `Cancelled`. Then the table is as it was.
pub fn keep(
    walk: &Walk,
    collection: &str,
    request: &RelatedRequest<'_>,
    observer: &dyn Observer,
) -> Result<Report> {
    let place =
        |error: rusqlite::Error| Error::from(error).with("database", request.output.display());
    let mut db = Connection::open(request.output).map_err(place)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // From here on nobody else writes; readers go on.
    let transaction =
        db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(place)?;
    let table = Table::open(&transaction, request, collection)?;
    let before = table.before(observer)?;
    let rows = walk.vectors(table.seed, observer)?;
    let related = rows.related(&before, request.k, observer)?;
    let lists = table.write(&rows, &before, &related, observer)?;
    drop(table);
    transaction.commit()?;
    Ok(Report {
        collection: collection.to_owned(),
        table: request.table.to_owned(),
        k: request.k,
        rows: rows.ids.len() as u64,
        changed: related.changed.len() as u64,
        gone: related.gone.len() as u64,
        lists,
        skipped: rows.skipped.total().saturating_add(rows.without_id),
    })
}

/// The table and what is known of it.
struct Table<'a> {
    db: &'a Transaction<'a>,
    name: &'a str,
    /// The name as SQL.
    quoted: String,
    seed: u64,
    /// Whether its rows are of an earlier run for as many neighbours.
    known: Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

impl<'a> Table<'a> {
    fn open(
        db: &'a Transaction<'a>,
        request: &RelatedRequest<'a>,
        collection: &str,
    ) -> Result<Self> {
        let name = request.table;
        let quoted = format!("main.{}", quote(name));
        db.execute_batch(STATE)?;
        let there = "SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE";
        let there = db.query_row(there, [name], |_| Ok(())).optional()?.is_some();
        let noted = "SELECT collection, k, seed FROM main._simdex_related WHERE name = ?";
        let noted = db.query_row(noted, [name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let wanted = i64::try_from(request.k).unwrap_or(i64::MAX);
        let (known, seed) = match noted.optional()? {
            None if there => {
                let message =
                    format!("there is a table `{name}` already, and simdex did not make it");
                return Err(Error::new(ErrorKind::AlreadyExists, message)
                    .with("database", request.output.display())
                    .hint("choose another name with --into"));
            }
            Some((of, ..)) if there && of != collection => {
                let message = format!("table `{name}` is of collection `{of}`, not `{collection}`");
                return Err(Error::new(ErrorKind::Invalid, message)
                    .with("database", request.output.display())
                    .hint("choose another name with --into"));
            }
            Some((_, k, seed)) if there && k == wanted => (Known::Yes, seed.cast_unsigned()),
            _ => (Known::No, related::seed()?),
        };
        if !there {
            db.execute_batch(&format!(
                "CREATE TABLE {quoted} (
                     id TEXT, other_id TEXT, score FLOAT, PRIMARY KEY (id, other_id))"
            ))?;
        }
        db.execute(
            "INSERT OR REPLACE INTO main._simdex_related VALUES (?, ?, ?, ?)",
            params![name, collection, wanted, seed.cast_signed()],
        )?;
        Ok(Self { db, name, quoted, seed, known })
    }

    /// What the table holds. Nothing where it is not what was noted: somebody has been at it.
    fn before(&self, observer: &dyn Observer) -> Result<Before> {
        if self.known == Known::No {
            return Ok(Before::default());
        }
        let mut before = Before::default();
        let sql =
            "SELECT id, fingerprint FROM main._simdex_related_rows WHERE name = ? ORDER BY id";
        let mut rows = self.db.prepare(sql)?;
        let mut rows = rows.query([self.name])?;
        while let Some(row) = rows.next()? {
            before.ids.push(row.get(0)?);
            before.fingerprints.push(row.get::<_, i64>(1)?.cast_unsigned());
        }
        let numbers: HashMap<&str, u32> = before.ids.iter().map(String::as_str).zip(0..).collect();
        let mut lists = vec![Vec::new(); before.ids.len()];
        let mut listed =
            self.db.prepare(&format!("SELECT id, other_id, score FROM {}", self.quoted))?;
        let mut listed = listed.query([])?;
        let mut done = 0_u64;
        while let Some(row) = listed.next()? {
            let number = |column| -> Result<Option<u32>> {
                let text = row.get_ref(column)?.as_str_or_null().ok().flatten();
                Ok(text.and_then(|id| numbers.get(id)).copied())
            };
            let score = row.get_ref(2)?.as_f64_or_null().ok().flatten();
            let (Some(id), Some(other), Some(score)) = (number(0)?, number(1)?, score) else {
                return Ok(Before::default());
            };
            if let Some(list) = lists.get_mut(id as usize) {
                list.push(Neighbor { row: other, score });
            }
            done += 1;
            if done.is_multiple_of(ROWS_BETWEEN_REPORTS) {
                observer.checkpoint()?;
                observer.progress("reading lists", done, None);
            }
        }
        // Numbers are in the order of ids.
        for list in &mut lists {
            list.sort_unstable_by(|a, b| {
                Metric::Cosine.closer_first(a.score, b.score).then(a.row.cmp(&b.row))
            });
        }
        drop(numbers);
        before.lists = lists;
        Ok(before)
    }

    /// Writes what differs; returns how many lists do.
    fn write(
        &self,
        rows: &Vectors,
        before: &Before,
        related: &Related,
        observer: &dyn Observer,
    ) -> Result<u64> {
        let quoted = &self.quoted;
        if before.ids.is_empty() {
            self.db.execute(&format!("DELETE FROM {quoted}"), [])?;
            let sql = "DELETE FROM main._simdex_related_rows WHERE name = ?";
            self.db.execute(sql, [self.name])?;
        }
        let mut forget = self.db.prepare(&format!("DELETE FROM {quoted} WHERE id = ?"))?;
        let sql = "DELETE FROM main._simdex_related_rows WHERE name = ? AND id = ?";
        let mut forget_row = self.db.prepare(sql)?;
        let gone = related.gone.iter().filter_map(|&row| before.ids.get(row as usize));
        for id in gone {
            forget.execute([id])?;
            forget_row.execute([self.name, id])?;
        }
        let sql = "INSERT OR REPLACE INTO main._simdex_related_rows VALUES (?, ?, ?)";
        let mut note = self.db.prepare(sql)?;
        for &row in &related.changed {
            if let (Some(id), Some(fingerprint)) =
                (rows.ids.get(row as usize), rows.fingerprints.get(row as usize))
            {
                note.execute(params![self.name, id, fingerprint.cast_signed()])?;
            }
        }
        let mut insert = self.db.prepare(&format!("INSERT INTO {quoted} VALUES (?, ?, ?)"))?;
        let total = rows.ids.len() as u64;
        let mut written = 0;
        for ((id, list), done) in rows.ids.iter().zip(&related.lists).zip(0_u64..) {
            if done.is_multiple_of(ROWS_BETWEEN_REPORTS) {
                observer.checkpoint()?;
                observer.progress("writing", done, Some(total));
            }
            let Some(list) = list else { continue };
            written += 1;
            forget.execute([id])?;
            for near in list {
                if let Some(other) = rows.ids.get(near.row as usize) {
                    insert.execute(params![id, other, near.score])?;
                }
            }
        }
        Ok(written)
    }
}
