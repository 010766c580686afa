//! A database, opened to be read and left as it was found.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, SystemTime};

use rusqlite::types::ValueRef;

use crate::error::{Context, Error, ErrorKind, Result};
use crate::observe::{Observer, Silent};
use crate::store::connection::{Columns, Connect, Connection};
use crate::store::identity::DatabaseIdentity;

/// How often the observer is asked whether SQLite is to be interrupted.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How many rows pass between two looks at [`Observer::is_cancelled`].
const ROWS_BETWEEN_CHECKS: u64 = 256;

/// A database that is only read: no row of it is ever written.
#[derive(Debug)]
pub struct Database {
    connection: Box<dyn Connection>,
    path: PathBuf,
    clock: Clock,
}

/// Tells the time; the system's, but for tests of what depends on it.
pub type Clock = fn() -> SystemTime;

impl Database {
    /// Opens the database at `path`. Creates nothing.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` when it is no database, `ReadOnly` or `Database` when SQLite can't
    /// read it.
    pub fn open(path: &Path, connect: &dyn Connect, clock: Clock) -> Result<Self> {
        let path = Self::locate(path)?;
        let connection = connect.connect(&path)?;
        Ok(Self { connection, path, clock })
    }

    /// The path with symbolic links resolved; nothing is opened.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, `Invalid` when it is a folder.
    pub fn locate(path: &Path) -> Result<PathBuf> {
        let hint = "point to one with -d PATH or LLM_EMBEDDINGS_DB";
        resolve(path).map_err(|error| error.hint(hint))
    }

    /// The path with symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes another database readable as `alias`.
    ///
    /// # Errors
    /// `NotFound` or `Invalid` when the file can't be read as a database.
    pub fn attach(&mut self, alias: &str, path: &Path) -> Result<()> {
        self.connection.attach(alias, &resolve(path).context("attached as", alias)?)
    }

    /// Begins a read transaction: until it ends, all reads see the database as it is now.
    ///
    /// # Errors
    /// `Busy` when a writer keeps the database locked, `Database` when it can't be read.
    pub fn read(&self) -> Result<ReadTransaction<'_>> {
        let before = DatabaseIdentity::of(&self.path)?;
        self.connection.begin().context("database", self.path.display())?;
        let mut transaction = ReadTransaction { database: self, identity: None, settled: false };
        transaction.each(FIRST_READ, &[], &Silent, |_| Ok(()))?;
        let now = (self.clock)();
        transaction.identity = DatabaseIdentity::of(&self.path)?;
        transaction.settled = transaction.identity == before
            && before.is_some_and(|identity| identity.is_settled(now));
        Ok(transaction)
    }
}

/// BEGIN takes no lock; this does.
pub const FIRST_READ: &str = "SELECT 1 FROM sqlite_schema LIMIT 1";

/// One consistent view of a database.
#[derive(Debug)]
pub struct ReadTransaction<'a> {
    database: &'a Database,
    identity: Option<DatabaseIdentity>,
    settled: bool,
}

impl ReadTransaction<'_> {
    /// The identity of the files that this transaction reads, if they had settled when it began:
    /// as long as the files have this identity, the rows are the ones seen here.
    pub fn settled_identity(&self) -> Option<&DatabaseIdentity> {
        self.identity.as_ref().filter(|_| self.settled)
    }

    /// The identity of the files as the transaction began, settled or not.
    pub fn identity(&self) -> Option<&DatabaseIdentity> {
        self.identity.as_ref()
    }

    /// A number that SQLite changes whenever anybody else commits a change to the database, by this
    /// connection's own count. `None`: the database is read as immutable, where it proves nothing.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn data_version(&self) -> Result<Option<i64>> {
        if self.database.connection.is_immutable() {
            return Ok(None);
        }
        let mut version = None;
        self.each("PRAGMA data_version", &[], &Silent, |row| {
            version = Some(integer(row, 0));
            Ok(())
        })?;
        Ok(version)
    }

    /// Runs `sql`, which must be one SELECT, and hands each row to `visit`.
    ///
    /// # Errors
    /// Those of SQLite and of `visit`; `Cancelled` when `observer` says so.
    pub fn each(
        &self,
        sql: &str,
        parameters: &Columns<'_>,
        observer: &dyn Observer,
        mut visit: impl FnMut(&Columns<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut visited = 0_u64;
        self.database.connection.select(sql, parameters, &mut |columns| {
            if visited.is_multiple_of(ROWS_BETWEEN_CHECKS) {
                observer.checkpoint()?;
            }
            visited += 1;
            visit(columns)
        })
    }

    /// Does `work`, and interrupts SQLite in it once the observer wants a stop: SQL of the user's may
    /// run for ever without handing out a row.
    ///
    /// # Errors
    /// Those of `work`; `Cancelled`.
    pub fn interruptible<T>(
        &self,
        observer: &dyn Observer,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        observer.checkpoint()?;
        let interrupt = self.database.connection.interrupter();
        let (working, ended) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let watch = move || {
                while ended.recv_timeout(BETWEEN_LOOKS) == Err(RecvTimeoutError::Timeout) {
                    if observer.is_cancelled() {
                        interrupt();
                    }
                }
            };
            // Without a thread to spare the work is only harder to stop.
            let _ = std::thread::Builder::new().spawn_scoped(scope, watch);
            let done = work();
            drop(working);
            done
        })
    }

    /// The names of a table's or view's columns; `None` where there is no such table.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn columns(&self, table: &str) -> Result<Option<Vec<String>>> {
        let mut known = false;
        let exists = "SELECT 1 FROM main.sqlite_schema
                      WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE";
        self.each(exists, &[ValueRef::from(table)], &Silent, |_| {
            known = true;
            Ok(())
        })?;
        if !known {
            return Ok(None);
        }
        self.column_names(&format!("SELECT * FROM main.{} LIMIT 0", quote(table))).map(Some)
    }

    /// The names of what `sql` selects.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn column_names(&self, sql: &str) -> Result<Vec<String>> {
        self.database.connection.column_names(sql)
    }

    /// The columns of a table's primary key, in its order; empty for views and rowid tables.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn primary_key(&self, table: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let sql = "SELECT name FROM pragma_table_info(?, 'main') WHERE pk > 0 ORDER BY pk";
        self.each(sql, &[ValueRef::from(table)], &Silent, |row| {
            names.extend(text(row, 0));
            Ok(())
        })?;
        Ok(names)
    }

    /// Confirms that nobody wrote while an immutable database was read: there SQLite takes no lock.
    ///
    /// # Errors
    /// `Busy` when the files changed.
    pub fn confirm(&self) -> Result<()> {
        if !self.database.connection.is_immutable() {
            return Ok(());
        }
        let path = &self.database.path;
        // An immutable database is read without its log: there must be none that holds rows.
        let unread = has_log(path) || has_journal(path);
        if !unread && DatabaseIdentity::of(path)? == self.identity {
            return Ok(());
        }
        let message = "the database changed while it was read as immutable";
        Err(Error::new(ErrorKind::Busy, message)
            .with("database", self.database.path.display())
            .hint("run the command again"))
    }
}

impl Drop for ReadTransaction<'_> {
    fn drop(&mut self) {
        self.database.connection.end();
    }
}

/// The text in a column; `None` for other types, and for text that is not UTF-8.
pub fn text(columns: &Columns<'_>, column: usize) -> Option<String> {
    match columns.get(column)? {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        _ => None,
    }
}

/// The integer in a column; 0 for other types.
pub fn integer(columns: &Columns<'_>, column: usize) -> i64 {
    match columns.get(column) {
        Some(ValueRef::Integer(value)) => *value,
        _ => 0,
    }
}

/// `name` as an SQL identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Whether a file begins as SQLite databases do. An empty file does not, although SQLite opens it.
///
/// # Errors
/// Those of opening and reading the file.
pub fn is_database(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::with_capacity(MAGIC.len());
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut first)?;
    Ok(first == MAGIC)
}

fn resolve(path: &Path) -> Result<PathBuf> {
    let resolved = path.canonicalize().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let kind = if missing { ErrorKind::NotFound } else { ErrorKind::Io };
        let message =
            if missing { "there is no database here" } else { "the database can't be reached" };
        Error::new(kind, message).with("path", path.display()).source(error)
    })?;
    if resolved.is_dir() {
        let message = "this is a folder, not a SQLite database";
        return Err(Error::new(ErrorKind::Invalid, message).with("path", path.display()));
    }
    Ok(resolved)
}

/// Whether a write-ahead log holds rows of its own.
pub(crate) fn has_log(path: &Path) -> bool {
    has_beside(path, "-wal")
}

/// Whether a killed writer left rows to roll back.
pub(crate) fn has_journal(path: &Path) -> bool {
    has_beside(path, "-journal")
}

fn has_beside(path: &Path, suffix: &str) -> bool {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    std::fs::metadata(beside).is_ok_and(|metadata| metadata.len() > 0)
}

/// A `file:` address that promises SQLite that nobody writes.
pub(crate) fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Adds why a database that needs its log or journal can't be read without one.
pub(crate) fn unreadable(error: Error) -> Error {
    error.hint(
        "its -wal or -journal file holds changes that SQLite can't read in a folder that can't be \
         written; copy the database and that file elsewhere",
    )
}
