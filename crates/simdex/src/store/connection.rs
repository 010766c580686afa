//! What simdex asks of SQLite, so that rows can come through any copy of it.
//!
//! One process must never hold two copies of SQLite on one file: the second one drops the first
//! one's POSIX locks as it closes the file. So inside another program's process (Python, say) rows
//! are read through that program's SQLite, behind [`Connect`]; elsewhere through ours.

use std::fmt::Debug;
use std::path::Path;

/// A value in a row, or a parameter.
pub use rusqlite::types::ValueRef;

use crate::error::Result;

/// The columns of one row.
pub type Columns<'r> = [ValueRef<'r>];

/// Receives the rows of a SELECT; an error ends the reading and is handed on.
pub type Visit<'v> = &'v mut dyn FnMut(&Columns<'_>) -> Result<()>;

/// Opens connections to a database file.
pub trait Connect: Debug + Send + Sync {
    /// Opens the database at `path`, which has no symbolic links in it, so that nothing can be
    /// written through the connection. Creates nothing.
    ///
    /// # Errors
    /// `Invalid` when it is no database, `ReadOnly`, `Busy` or `Database` when it can't be read.
    fn connect(&self, path: &Path) -> Result<Box<dyn Connection>>;
}

/// A connection that only reads.
pub trait Connection: Debug + Send {
    /// Whether the file was opened under the promise that nobody writes: no lock is held then.
    fn is_immutable(&self) -> bool;

    /// Begins a transaction. It need not take a lock: the first row read does.
    ///
    /// # Errors
    /// Those of SQLite.
    fn begin(&self) -> Result<()>;

    /// Ends the transaction.
    fn end(&self);

    /// Runs `sql`, which must be one SELECT, and hands each row to `visit`.
    ///
    /// # Errors
    /// `Invalid` for other statements; those of SQLite and of `visit`.
    fn select(&self, sql: &str, parameters: &Columns<'_>, visit: Visit<'_>) -> Result<()>;

    /// The names of the columns that a SELECT gives.
    ///
    /// # Errors
    /// Those of SQLite.
    fn column_names(&self, sql: &str) -> Result<Vec<String>>;

    /// Makes another database readable as `alias`.
    ///
    /// # Errors
    /// Those of SQLite.
    fn attach(&mut self, alias: &str, path: &Path) -> Result<()>;

    /// Stops the running statement, from another thread.
    fn interrupter(&self) -> Box<dyn Fn() + Send>;
}
