//! How long work reports itself: the library tells, the front end draws.

use crate::error::{Error, ErrorKind, Result};

/// Receives progress and may ask for a stop. Called from any thread.
pub trait Observer: Sync {
    /// `done` of `total` units of `stage` are finished; `total` is `None` where it isn't known.
    fn progress(&self, stage: &str, done: u64, total: Option<u64>) {
        let _ = (stage, done, total);
    }

    /// Whether the caller wants the work stopped. Asked every few milliseconds.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Fails with [`ErrorKind::Cancelled`] once the caller wants a stop.
    fn checkpoint(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped at the caller's request"));
        }
        Ok(())
    }
}

/// Hears nothing and never stops the work.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {}
