//! Rows through Python's own SQLite: one process must never hold two copies of it on one file.

use std::path::Path;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};
use simdex::store::connection::{Columns, Connect, Connection, ValueRef, Visit};
use simdex::{Context, Error, ErrorKind, Result};

/// Rows fetched at a time. Python is held up while they are looked at: well below a millisecond.
const BATCH: usize = 512;

/// Opens databases with a Python function: path → (connection, whether it is immutable).
#[derive(Debug)]
pub(crate) struct PythonConnect {
    pub(crate) connect: Py<PyAny>,
}

impl Connect for PythonConnect {
    fn connect(&self, path: &Path) -> Result<Box<dyn Connection>> {
        Python::attach(|py| {
            let opened = self.connect.call1(py, (path,)).map_err(|error| explain(py, error));
            let (connection, immutable) = opened
                .and_then(|pair| pair.extract(py).map_err(|error| explain(py, error)))
                .context("database", path.display())?;
            Ok(Box::new(PythonConnection { connection, immutable }) as _)
        })
    }
}

/// A `sqlite3.Connection` that is ours alone, in autocommit mode, with an authorizer that allows
/// nothing but reading.
#[derive(Debug)]
struct PythonConnection {
    connection: Py<PyAny>,
    immutable: bool,
}

impl PythonConnection {
    fn execute<'py>(&self, py: Python<'py>, sql: &str) -> Result<Bound<'py, PyAny>> {
        let connection = self.connection.bind(py);
        connection.call_method1("execute", (sql,)).map_err(|error| explain(py, error))
    }
}

impl Connection for PythonConnection {
    fn is_immutable(&self) -> bool {
        self.immutable
    }

    fn begin(&self) -> Result<()> {
        Python::attach(|py| self.execute(py, "BEGIN").map(drop))
    }

    fn end(&self) {
        Python::attach(|py| {
            // It fails where BEGIN did.
            let _ = self.execute(py, "ROLLBACK");
        });
    }

    fn select(&self, sql: &str, parameters: &Columns<'_>, visit: Visit<'_>) -> Result<()> {
        let cursor = Python::attach(|py| {
            let execute = || {
                let parameters = parameters.iter().map(|value| to_python(py, *value));
                let parameters = PyTuple::new(py, parameters.collect::<PyResult<Vec<_>>>()?)?;
                let cursor = self.connection.bind(py).call_method1("execute", (sql, parameters))?;
                Ok(cursor.unbind())
            };
            execute().map_err(|error| explain(py, error))
        })?;
        let read = read(&cursor, visit);
        Python::attach(|py| {
            // Also after an error: an open statement would keep the transaction from ending.
            let _ = cursor.call_method0(py, "close");
        });
        read
    }

    fn column_names(&self, sql: &str) -> Result<Vec<String>> {
        Python::attach(|py| {
            let cursor = self.execute(py, sql)?;
            let names = || -> PyResult<Vec<String>> {
                let description: Vec<Bound<'_, PyTuple>> =
                    cursor.getattr("description")?.extract()?;
                description.iter().map(|column| column.get_item(0)?.extract()).collect()
            };
            names().map_err(|error| explain(py, error))
        })
    }

    fn attach(&mut self, alias: &str, path: &Path) -> Result<()> {
        Python::attach(|py| {
            let connection = self.connection.bind(py);
            let attached = connection.call_method1("attach", (alias, path));
            attached.map(drop).map_err(|error| explain(py, error))
        })
        .context("database", path.display())
        .context("alias", alias)
    }

    fn interrupter(&self) -> Box<dyn Fn() + Send> {
        let connection = Python::attach(|py| self.connection.clone_ref(py));
        Box::new(move || {
            Python::attach(|py| {
                // One that is closed by now has nothing to interrupt.
                let _ = connection.call_method0(py, "interrupt");
            });
        })
    }
}

impl Drop for PythonConnection {
    fn drop(&mut self) {
        Python::attach(|py| {
            let _ = self.connection.call_method0(py, "close");
        });
    }
}

fn read(cursor: &Py<PyAny>, visit: Visit<'_>) -> Result<()> {
    let mut more = true;
    while more {
        Python::attach(|py| {
            let rows = cursor.call_method1(py, "fetchmany", (BATCH,));
            let rows = rows.map_err(|error| explain(py, error))?;
            let rows = rows.bind(py).cast::<PyList>().map_err(|error| odd(&error))?;
            more = rows.len() == BATCH;
            rows.iter().try_for_each(|row| {
                let row = row.cast_into::<PyTuple>().map_err(|error| odd(&error))?;
                let values = row.iter().map(Value::of).collect::<Result<Vec<_>>>()?;
                let columns: Vec<_> = values.iter().map(Value::as_sql).collect();
                visit(&columns)
            })
        })?;
    }
    Ok(())
}

/// A value that Python holds.
enum Value<'py> {
    Null,
    Integer(i64),
    Real(f64),
    /// Text is read as bytes first (see `text_factory` in the package): it need not be UTF-8.
    Text(Vec<u8>),
    Blob(Bound<'py, PyBytes>),
}

impl<'py> Value<'py> {
    fn of(value: Bound<'py, PyAny>) -> Result<Self> {
        if value.is_none() {
            return Ok(Self::Null);
        }
        let value = match value.cast_into::<PyBytes>() {
            Ok(blob) => return Ok(Self::Blob(blob)),
            Err(other) => other.into_inner(),
        };
        let text = match value.cast::<PyString>() {
            Ok(text) => text,
            Err(_) if value.is_instance_of::<PyInt>() => {
                return value.extract().map(Self::Integer).map_err(|error| odd(&error));
            }
            Err(_) if value.is_instance_of::<PyFloat>() => {
                return value.extract().map(Self::Real).map_err(|error| odd(&error));
            }
            Err(error) => return Err(odd(&error)),
        };
        if let Ok(text) = text.to_str() {
            return Ok(Self::Text(text.as_bytes().to_vec()));
        }
        let bytes = text.call_method1("encode", ("utf-8", "surrogateescape"));
        let bytes: Vec<u8> =
            bytes.and_then(|bytes| bytes.extract()).map_err(|error| odd(&error))?;
        Ok(Self::Text(bytes))
    }

    fn as_sql(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes.as_bytes()),
        }
    }
}

fn to_python<'py>(py: Python<'py>, value: ValueRef<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        ValueRef::Null => py.None().into_bound(py),
        ValueRef::Integer(value) => value.into_pyobject(py)?.into_any(),
        ValueRef::Real(value) => value.into_pyobject(py)?.into_any(),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => PyString::new(py, text).into_any(),
            // Python binds no text that isn't UTF-8. As a blob it equals no text, so such a row
            // keeps its place in the results but comes without its content.
            Err(_) => PyBytes::new(py, bytes).into_any(),
        },
        ValueRef::Blob(bytes) => PyBytes::new(py, bytes).into_any(),
    })
}

fn odd(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("Python's sqlite3 gave something unexpected: {error}"))
}

/// An exception of Python's `sqlite3` as an error of the engine.
fn explain(py: Python<'_>, error: PyErr) -> Error {
    let message = error.value(py).to_string();
    let class = error.get_type(py).name().map(|name| name.to_string()).unwrap_or_default();
    let kind = match () {
        () if message.contains("locked") || message.contains("busy") => ErrorKind::Busy,
        () if message.contains("interrupted") => ErrorKind::Cancelled,
        () if message.contains("not a database") => ErrorKind::Invalid,
        // The authorizer's, and sqlite3's for several statements in one.
        () if message.contains("not authorized") || message.contains("one statement") => {
            ErrorKind::Invalid
        }
        () if message.contains("unable to open") || message.contains("readonly") => {
            ErrorKind::ReadOnly
        }
        () => ErrorKind::Database,
    };
    match class.ends_with("Error") && !message.is_empty() {
        true => Error::new(kind, format!("SQLite: {message}")),
        false => Error::new(kind, format!("SQLite: {class}: {message}")),
    }
}
