//! One error type, which never holds a secret.

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The server can't be reached, is overloaded or answers too late. May pass.
    Unreachable,
    /// It refuses who asks, or can't be trusted.
    Denied,
    /// There is no such collection.
    NotFound,
    /// What was asked makes no sense, and nothing was sent.
    Invalid,
    /// The server can't hold some of these records, for what is in them. It may take the others.
    Unfit,
    /// The server refuses or fails, and would again.
    Refused,
}

/// An error of a server, or on the way to it.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", .about.as_ref().map_or_else(String::new, |id| format!("id {id:?}: ")))]
pub struct Error {
    fault: Fault,
    /// The id of the record that is to blame.
    about: Option<String>,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error that says `message`.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, about: None, message: message.into(), hint: None }
    }

    /// Says which record is to blame.
    #[must_use]
    pub(crate) fn about(self, id: &str) -> Self {
        Self { about: Some(id.to_owned()), ..self }
    }

    /// What is wrong, without the id of a record that is to blame.
    pub fn reason(&self) -> &str {
        &self.message
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What went wrong.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The next step, if there is one to suggest.
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        self.fault == Fault::Unreachable
    }
}
