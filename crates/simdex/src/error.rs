//! One error type: what failed, where, what was found, what was expected, and the next step.

use std::fmt;

mod hint;

pub use hint::{Hint, quote};

/// What went wrong, in terms a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A collection, table, index, row or file that does not exist.
    NotFound,
    /// Something of that name exists already.
    AlreadyExists,
    /// An argument, definition or vector that can't be used as given.
    Invalid,
    /// A file of ours that is truncated, altered, foreign, or from a later version.
    Damaged,
    /// The place is read-only, or permission is missing.
    ReadOnly,
    /// Another process holds what is needed.
    Busy,
    /// The caller asked to stop.
    Cancelled,
    /// SQLite refused or failed.
    Database,
    /// The operating system refused or failed (disk full, input/output error).
    Io,
    /// A plugin is missing, fails or misbehaves.
    Plugin,
    /// A server with an index can't be reached or fails, and the caller wants no other answer.
    Unavailable,
    /// A defect in simdex.
    Internal,
}

impl ErrorKind {
    /// Whether the user can mend it (exit status 1), as opposed to an unexpected failure (2).
    pub fn is_user_error(self) -> bool {
        !matches!(self, Self::Io | Self::Internal)
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its place and its next step.
///
/// `Display` prints the message, then each context pair in brackets; [`Error::hint`] is the next
/// step and is printed by front ends on a line of its own.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    hint: Option<Hint>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), context: Vec::new(), hint: None, source: None }
    }

    /// Adds where it happened: `("index", "posts")`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the error beneath this one.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The next step, if there is one to suggest.
    pub fn next_step(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (index, (key, value)) in self.context.iter().enumerate() {
            f.write_str(if index == 0 { " [" } else { ", " })?;
            write!(f, "{key}: {value}")?;
        }
        if !self.context.is_empty() {
            f.write_str("]")?;
        }
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                ErrorKind::Busy
            }
            Some(rusqlite::ErrorCode::OperationInterrupted) => ErrorKind::Cancelled,
            _ => ErrorKind::Database,
        };
        match error {
            // SQLite's own words, without the statement: most of that is ours, not the user's.
            rusqlite::Error::SqlInputError { msg, .. } => Self::new(kind, format!("SQLite: {msg}")),
            error => Self::new(kind, "SQLite").source(error),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::ReadOnly
            }
            _ => ErrorKind::Io,
        };
        Self::new(kind, "file").source(error)
    }
}

/// Adds the place to any error that can become an [`Error`].
pub trait Context<T> {
    /// Adds `(key, value)` to the error, if there is one.
    fn context(self, key: &'static str, value: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, key: &'static str, value: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().with(key, value))
    }
}
