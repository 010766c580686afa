//! A database, opened to be read and left as it was found.

use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags, Row, ToSql};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::observe::{Observer, Silent};
use crate::store::identity::DatabaseIdentity;

/// How long to wait for a writer that holds the database exclusively.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the observer is asked whether SQLite is to be interrupted.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How many rows pass between two looks at [`Observer::is_cancelled`].
const ROWS_BETWEEN_CHECKS: u64 = 256;

/// A connection that only reads.
///
/// It never writes a row: `query_only` is set, and an authorizer refuses every statement that is
/// not a SELECT. It is opened read-write where permissions allow, because a read-only connection to
/// a database in WAL mode leaves `-wal` and `-shm` files behind; on closing it checkpoints nothing.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
    /// Other databases that this connection reads.
    attached: Vec<PathBuf>,
    immutable: bool,
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
    pub fn open(path: &Path, clock: Clock) -> Result<Self> {
        let path = resolve(path)?;
        let read_write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let (connection, immutable) = match connect(&path, read_write) {
            Ok(connection) => (connection, false),
            // Rolling back what a killed writer left can fail in several ways.
            Err(error) if !needs_files_beside(&error) && !has_journal(&path) => {
                return Err(explain(error, &path));
            }
            Err(error) => match connect(&path, read_only) {
                Ok(connection) => (connection, false),
                // On read-only media a database in WAL mode can only be opened as immutable, which
                // is right as long as no log holds rows of its own, and no journal the rows that a
                // killed writer was about to replace.
                Err(_) if !has_log(&path) && !has_journal(&path) => {
                    let uri = immutable_uri(&path);
                    let flags = read_only | OpenFlags::SQLITE_OPEN_URI;
                    let connection = connect(Path::new(&uri), flags);
                    (connection.map_err(|error| explain(error, &path))?, true)
                }
                Err(_) => {
                    let error = explain(error, &path);
                    if error.kind() == ErrorKind::Busy {
                        return Err(error);
                    }
                    return Err(error.hint(
                        "its -wal or -journal file holds changes that SQLite can't read in a \
                         folder that can't be written; copy the database and that file elsewhere",
                    ));
                }
            },
        };
        Ok(Self { connection, path, attached: Vec::new(), immutable, clock })
    }

    /// The path with symbolic links resolved; nothing is opened.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, `Invalid` when it is a folder.
    pub fn locate(path: &Path) -> Result<PathBuf> {
        resolve(path)
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
        let path = resolve(path)?;
        let name = path.to_str().ok_or_else(|| {
            let message = "SQLite attaches only paths that are UTF-8";
            Error::new(ErrorKind::Invalid, message).with("path", path.display())
        })?;
        self.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        let attach = format!("ATTACH ? AS {}", quote(alias));
        let attached = self.connection.execute(&attach, [name]).and_then(|_| {
            let first = format!("SELECT count(*) FROM {}.sqlite_schema", quote(alias));
            self.connection.query_row(&first, [], |_| Ok(()))
        });
        self.connection.authorizer(Some(only_reads))?;
        self.attached.push(path.clone());
        attached.map_err(|error| explain(error, &path).with("alias", alias))
    }

    /// Begins a read transaction: until it ends, all reads see the database as it is now.
    ///
    /// # Errors
    /// `Busy` when a writer keeps the database locked, `Database` when it can't be read.
    pub fn read(&self) -> Result<ReadTransaction<'_>> {
        let before = DatabaseIdentity::of(&self.path)?;
        self.connection.execute_batch("BEGIN").context("database", self.path.display())?;
        let mut transaction = ReadTransaction { database: self, identity: None, settled: false };
        transaction.each(FIRST_READ, &[], &Silent, |_| Ok(()))?;
        let now = (self.clock)();
        transaction.identity = DatabaseIdentity::of(&self.path)?;
        transaction.settled = transaction.identity == before
            && before.is_some_and(|identity| identity.is_settled(now));
        Ok(transaction)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The last connection to close would otherwise copy the log into the database.
        if has_log(&self.path) || self.attached.iter().any(|path| has_log(path)) {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// BEGIN takes no lock; this does.
const FIRST_READ: &str = "SELECT 1 FROM sqlite_schema LIMIT 1";

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

    /// Runs `sql`, which must be one SELECT, and hands each row to `visit`.
    ///
    /// # Errors
    /// Those of SQLite and of `visit`; `Cancelled` when `observer` says so.
    pub fn each(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        observer: &dyn Observer,
        mut visit: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.database.connection.prepare_cached(sql)?;
        if statement.column_count() == 0 || !statement.readonly() {
            let message = "only a SELECT can be used here";
            return Err(Error::new(ErrorKind::Invalid, message).with("SQL", sql));
        }
        let mut rows = statement.query(parameters)?;
        let mut visited = 0_u64;
        while let Some(row) = rows.next()? {
            if visited.is_multiple_of(ROWS_BETWEEN_CHECKS) {
                observer.checkpoint()?;
            }
            visited += 1;
            visit(row)?;
        }
        Ok(())
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
        let handle = self.database.connection.get_interrupt_handle();
        let (working, ended) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let watch = move || {
                while ended.recv_timeout(BETWEEN_LOOKS) == Err(RecvTimeoutError::Timeout) {
                    if observer.is_cancelled() {
                        handle.interrupt();
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
        self.each(exists, &[&table], &Silent, |_| {
            known = true;
            Ok(())
        })?;
        if !known {
            return Ok(None);
        }
        let sql = format!("SELECT * FROM main.{} LIMIT 0", quote(table));
        let statement = self.database.connection.prepare(&sql)?;
        Ok(Some(statement.column_names().map(str::to_owned).collect()))
    }

    /// The columns of a table's primary key, in its order; empty for views and rowid tables.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn primary_key(&self, table: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let sql = "SELECT name FROM pragma_table_info(?, 'main') WHERE pk > 0 ORDER BY pk";
        self.each(sql, &[&table], &Silent, |row| {
            names.push(row.get(0)?);
            Ok(())
        })?;
        Ok(names)
    }

    /// Confirms that nobody wrote while an immutable database was read: there SQLite takes no lock.
    ///
    /// # Errors
    /// `Busy` when the files changed.
    pub fn confirm(&self) -> Result<()> {
        if !self.database.immutable {
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
        let _ = self.database.connection.execute_batch("ROLLBACK");
    }
}

/// `name` as an SQL identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn only_reads(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        // Begun and ended by this module alone: `each` takes only statements that return rows.
        | AuthAction::Transaction { .. }
        | AuthAction::Pragma { pragma_name: "table_info", .. } => Authorization::Allow,
        AuthAction::Function { function_name } if function_name != "load_extension" => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

fn resolve(path: &Path) -> Result<PathBuf> {
    let resolved = path.canonicalize().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let kind = if missing { ErrorKind::NotFound } else { ErrorKind::Io };
        let message =
            if missing { "there is no database here" } else { "the database can't be reached" };
        let error = Error::new(kind, message).with("path", path.display()).source(error);
        error.hint("point to one with -d PATH or LLM_EMBEDDINGS_DB")
    })?;
    if resolved.is_dir() {
        let message = "this is a folder, not a SQLite database";
        return Err(Error::new(ErrorKind::Invalid, message).with("path", path.display()));
    }
    Ok(resolved)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.query_row(FIRST_READ, [], |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    })?;
    connection.authorizer(Some(only_reads))?;
    Ok(connection)
}

/// Whether SQLite failed because it could not write a `-shm` file or journal beside the database.
fn needs_files_beside(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
    )
}

fn has_log(path: &Path) -> bool {
    has_beside(path, "-wal")
}

fn has_journal(path: &Path) -> bool {
    has_beside(path, "-journal")
}

fn has_beside(path: &Path, suffix: &str) -> bool {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    std::fs::metadata(beside).is_ok_and(|metadata| metadata.len() > 0)
}

/// A `file:` address that promises SQLite that nobody writes.
fn immutable_uri(path: &Path) -> String {
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

fn explain(error: rusqlite::Error, path: &Path) -> Error {
    let located = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            Error::new(ErrorKind::Invalid, "this is not a SQLite database").source(error)
        }
        Some(rusqlite::ErrorCode::CannotOpen) => {
            Error::new(ErrorKind::ReadOnly, "SQLite can't open the database").source(error)
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::new(ErrorKind::Database, "the database is damaged").source(error)
        }
        _ => Error::from(error),
    };
    located.with("database", path.display())
}
