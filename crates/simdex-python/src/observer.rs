//! Passes progress on to a Python function, and Ctrl-C on to the engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use simdex::observe::Observer;

use crate::failure::raise;

/// How often Python is asked for signals that have come in.
const TICK: Duration = Duration::from_millis(30);

/// Watches over one piece of work.
#[derive(Debug)]
pub(crate) struct Watch {
    stopped: AtomicBool,
    progress: Option<Py<PyAny>>,
}

impl Observer for Watch {
    fn progress(&self, stage: &str, done: u64, total: Option<u64>) {
        let Some(progress) = &self.progress else { return };
        Python::attach(|py| {
            if let Err(error) = progress.call1(py, (stage, done, total)) {
                // An error in it asks for a stop, as Ctrl-C does.
                self.stopped.store(true, Ordering::Relaxed);
                // A plain wish to stop is no mistake that anybody needs to hear of.
                if !error.is_instance_of::<PySystemExit>(py) {
                    error.write_unraisable(py, Some(progress.bind(py)));
                }
            }
        });
    }

    fn is_cancelled(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Does `work` on another thread without holding Python up, so that a signal is heard while it
/// lasts: Python runs signal handlers on the main thread only.
///
/// # Errors
/// Those of the work; what a signal handler raised (`KeyboardInterrupt` for Ctrl-C).
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&Watch) -> simdex::Result<T> + Send,
) -> PyResult<T> {
    let watch = Watch { stopped: AtomicBool::new(false), progress };
    let (done, signal) = py.detach(|| attend(&watch, work));
    match signal {
        Some(error) => Err(error),
        None => done.map_err(raise),
    }
}

fn attend<T: Send>(
    watch: &Watch,
    work: impl FnOnce(&Watch) -> simdex::Result<T> + Send,
) -> (simdex::Result<T>, Option<PyErr>) {
    std::thread::scope(|scope| {
        let (ending, ended) = mpsc::channel::<()>();
        let worker = scope.spawn(move || {
            let done = work(watch);
            drop(ending);
            done
        });
        let mut signal = None;
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = Python::attach(|py| py.check_signals()) {
                watch.stopped.store(true, Ordering::Relaxed);
                signal = Some(error);
            }
        }
        let done = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, signal)
    })
}
