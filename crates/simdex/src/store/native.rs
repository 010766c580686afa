//! Connections through the SQLite that is compiled into simdex.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OpenFlags, ToSql, params_from_iter};

use crate::error::{Error, ErrorKind, Result};
use crate::store::connection::{Columns, Connect, Connection, Visit};
use crate::store::database::{FIRST_READ, has_journal, has_log, immutable_uri, quote, unreadable};

/// How long to wait for a writer that holds the database exclusively.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Most columns that a statement of the engine's asks for.
const MOST_COLUMNS: usize = 8;

/// Opens databases with the SQLite that is compiled in.
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl Connect for Native {
    fn connect(&self, path: &Path) -> Result<Box<dyn Connection>> {
        NativeConnection::open(path).map(|connection| Box::new(connection) as _)
    }
}

/// `query_only` is set, and an authorizer refuses every statement that is not a SELECT. It is
/// opened read-write where permissions allow, because a read-only connection to a database in WAL
/// mode leaves `-wal` and `-shm` files behind; on closing it checkpoints nothing.
#[derive(Debug)]
struct NativeConnection {
    connection: rusqlite::Connection,
    path: PathBuf,
    /// Other databases that this connection reads.
    attached: Vec<PathBuf>,
    immutable: bool,
}

impl NativeConnection {
    fn open(path: &Path) -> Result<Self> {
        let read_write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let (connection, immutable) = match connect(path, read_write) {
            Ok(connection) => (connection, false),
            // Rolling back what a killed writer left can fail in several ways.
            Err(error) if !needs_files_beside(&error) && !has_journal(path) => {
                return Err(explain(error, path));
            }
            Err(error) => match connect(path, read_only) {
                Ok(connection) => (connection, false),
                // On read-only media a database in WAL mode can only be opened as immutable, which
                // is right as long as no log holds rows of its own, and no journal the rows that a
                // killed writer was about to replace.
                Err(_) if !has_log(path) && !has_journal(path) => {
                    let uri = immutable_uri(path);
                    let flags = read_only | OpenFlags::SQLITE_OPEN_URI;
                    let connection = connect(Path::new(&uri), flags);
                    (connection.map_err(|error| explain(error, path))?, true)
                }
                Err(_) => {
                    let error = explain(error, path);
                    if error.kind() == ErrorKind::Busy {
                        return Err(error);
                    }
                    return Err(unreadable(error));
                }
            },
        };
        Ok(Self { connection, path: path.to_owned(), attached: Vec::new(), immutable })
    }
}

impl Connection for NativeConnection {
    fn is_immutable(&self) -> bool {
        self.immutable
    }

    fn begin(&self) -> Result<()> {
        Ok(self.connection.execute_batch("BEGIN")?)
    }

    fn end(&self) {
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    fn select(&self, sql: &str, parameters: &Columns<'_>, visit: Visit<'_>) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        if columns == 0 || columns > MOST_COLUMNS || !statement.readonly() {
            let message = "only a SELECT can be used here";
            return Err(Error::new(ErrorKind::Invalid, message).with("SQL", sql));
        }
        let mut rows = statement.query(params_from_iter(parameters.iter().map(Parameter)))?;
        while let Some(row) = rows.next()? {
            let mut values = [ValueRef::Null; MOST_COLUMNS];
            for (column, value) in values.iter_mut().enumerate().take(columns) {
                *value = row.get_ref(column)?;
            }
            visit(values.get(..columns).unwrap_or_default())?;
        }
        Ok(())
    }

    fn column_names(&self, sql: &str) -> Result<Vec<String>> {
        let statement = self.connection.prepare(sql)?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }

    fn attach(&mut self, alias: &str, path: &Path) -> Result<()> {
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
        self.attached.push(path.to_owned());
        attached.map_err(|error| explain(error, path).with("alias", alias))
    }

    fn interrupter(&self) -> Box<dyn Fn() + Send> {
        let handle = self.connection.get_interrupt_handle();
        Box::new(move || handle.interrupt())
    }
}

impl Drop for NativeConnection {
    fn drop(&mut self) {
        // The last connection to close would otherwise copy the log into the database.
        if has_log(&self.path) || self.attached.iter().any(|path| has_log(path)) {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// A value that is bound as it is.
struct Parameter<'a>(&'a ValueRef<'a>);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(*self.0))
    }
}

fn only_reads(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        // Begun and ended by this module alone: `each` takes only statements that return rows.
        | AuthAction::Transaction { .. }
        | AuthAction::Pragma { pragma_name: "table_info" | "data_version", .. } => Authorization::Allow,
        AuthAction::Function { function_name } if function_name != "load_extension" => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<rusqlite::Connection> {
    let mut connection = rusqlite::Connection::open_with_flags(path, flags)?;
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
