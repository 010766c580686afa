//! Waiting for a server while the caller may lose interest.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Lets `work` happen on a thread of its own while this one asks the observer. One that nobody waits
/// for any more ends by itself, at its deadline at the latest.
///
/// # Errors
/// `Cancelled`; `Io` when there can be no thread.
pub(super) fn attended<T: Send + 'static>(
    observer: &dyn Observer,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("simdex-remote".into()).spawn(move || {
        let _ = sender.send(work());
    })?;
    loop {
        match receiver.recv_timeout(BETWEEN_LOOKS) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) => observer.checkpoint()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(ErrorKind::Internal, "a thread ended without an answer"));
            }
        }
    }
}
