//! Errors of the command line, and the exit status of every error: decided here, once.

use std::fmt;
use std::io;

use simdex::ErrorKind;
use simdex::error::Hint;

use crate::app::App;

/// Something the user can mend: what is wrong and the next step.
#[derive(Debug)]
pub(crate) struct UserError {
    message: String,
    hint: Option<Hint>,
}

impl UserError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {}

/// The command ran, and what it found is bad news that it has printed already: exit status 1.
#[derive(Debug)]
pub(crate) struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("see above")
    }
}

impl std::error::Error for Reported {}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The reader of our output went away, as `head` does: nothing is wrong.
    BrokenPipe,
    /// Said already.
    Reported,
    /// The user can mend it.
    User,
    /// Ctrl-C.
    Cancelled,
    /// Anything else.
    Unexpected,
}

impl Ending {
    fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Unexpected)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(error) = cause.downcast_ref::<simdex::Error>() {
            return Some(match error.kind() {
                ErrorKind::Cancelled => Self::Cancelled,
                kind if kind.is_user_error() => Self::User,
                _ => Self::Unexpected,
            });
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            let broken = error.kind() == io::ErrorKind::BrokenPipe;
            return broken.then_some(Self::BrokenPipe);
        }
        if cause.is::<Reported>() {
            return Some(Self::Reported);
        }
        cause.is::<UserError>().then_some(Self::User)
    }

    fn status(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Reported | Self::User => 1,
            Self::Unexpected => 2,
            Self::Cancelled => 130,
        }
    }
}

/// Says what went wrong, if anything, and turns it into the exit status.
pub(crate) fn exit_code(result: anyhow::Result<()>, app: &App) -> u8 {
    let Err(error) = result else {
        return 0;
    };
    let ending = Ending::of(&error);
    match ending {
        Ending::BrokenPipe | Ending::Reported => {}
        Ending::Cancelled => app.printer().error("stopped", None),
        Ending::User | Ending::Unexpected => report(&error, app),
    }
    ending.status()
}

/// Says what went wrong with one of several things.
pub(crate) fn report(error: &anyhow::Error, app: &App) {
    let hint = hint(error).map(|hint| hint.line(&app.command()));
    app.printer().error(&message(error), hint.as_deref());
}

/// Whether the user asked to stop.
pub(crate) fn is_cancelled(error: &anyhow::Error) -> bool {
    Ending::of(error) == Ending::Cancelled
}

/// The chain of causes in one line, down to the engine's error, whose text holds its own causes.
fn message(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        parts.push(cause.to_string());
        if cause.is::<simdex::Error>() {
            break;
        }
    }
    parts.join(": ")
}

fn hint(error: &anyhow::Error) -> Option<&Hint> {
    error.chain().find_map(|cause| {
        let ours = cause.downcast_ref::<UserError>().and_then(|error| error.hint.as_ref());
        ours.or_else(|| cause.downcast_ref::<simdex::Error>().and_then(simdex::Error::next_step))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn status(error: impl Into<anyhow::Error>) -> u8 {
        Ending::of(&error.into()).status()
    }

    #[test]
    fn every_kind_of_error_has_its_status() {
        assert_eq!(status(UserError::new("x")), 1);
        assert_eq!(status(Reported), 1);
        assert_eq!(status(simdex::Error::new(ErrorKind::NotFound, "x")), 1);
        assert_eq!(status(simdex::Error::new(ErrorKind::Internal, "x")), 2);
        assert_eq!(status(simdex::Error::new(ErrorKind::Cancelled, "x")), 130);
        assert_eq!(status(io::Error::from(io::ErrorKind::BrokenPipe)), 0);
        assert_eq!(status(io::Error::from(io::ErrorKind::StorageFull)), 2);
        assert_eq!(status(anyhow::anyhow!("x")), 2);
    }

    #[test]
    fn context_changes_neither_status_nor_hint() {
        let error: anyhow::Result<()> = Err(UserError::new("inner").hint("do this").into());
        let error = error.context("outer").unwrap_err();
        assert_eq!(Ending::of(&error), Ending::User);
        assert_eq!(message(&error), "outer: inner");
        assert_eq!(hint(&error), Some(&"do this".into()));
    }

    #[test]
    fn causes_of_an_engine_error_are_said_once() {
        let cause = io::Error::other("disk on fire");
        let error = simdex::Error::new(ErrorKind::Io, "file").source(cause);
        assert_eq!(message(&error.into()), "file: disk on fire");
    }
}
