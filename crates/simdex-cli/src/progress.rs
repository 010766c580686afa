//! Draws the engine's progress on stderr, and passes Ctrl-C on to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use simdex::observe::Observer;

use crate::printer::Printer;

/// Work that ends before this is not worth a bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often waiting work looks at the clock and at Ctrl-C.
const TICK: Duration = Duration::from_millis(50);

/// Exit status of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// The observer of one command.
#[derive(Debug)]
pub(crate) struct Progress {
    cancelled: Arc<AtomicBool>,
    started: Instant,
    canvas: Canvas,
}

#[derive(Debug)]
enum Canvas {
    Hidden,
    Terminal(Mutex<Option<Drawn>>),
}

#[derive(Debug)]
struct Drawn {
    stage: String,
    bar: ProgressBar,
}

impl Progress {
    /// From here on Ctrl-C asks the work to stop; a second one ends the process. Until here (while
    /// standard input is read, or a question waits for its answer) it simply ends the process.
    pub(crate) fn start(printer: &Printer) -> anyhow::Result<Self> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancelled);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
        })
        .context("listening for Ctrl-C")?;
        let canvas = match printer.draws_progress() {
            true => Canvas::Terminal(Mutex::new(None)),
            false => Canvas::Hidden,
        };
        Ok(Self { cancelled, started: Instant::now(), canvas })
    }

    /// Runs `work` on a thread, so that Ctrl-C is heard while it waits for another program.
    pub(crate) fn during<T: Send + 'static>(
        &self,
        stage: &str,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // The receiver is gone only when the user has cancelled.
            let _ = sender.send(work());
        });
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(result) => {
                    self.clear();
                    return result;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint()?;
                    self.progress(stage, 0, None);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("{stage}: the thread ended without a result")
                }
            }
        }
    }

    /// Removes what is drawn, before words are printed.
    pub(crate) fn clear(&self) {
        if let Canvas::Terminal(drawn) = &self.canvas
            && let Some(drawn) = drawn.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            drawn.bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn progress(&self, stage: &str, done: u64, total: Option<u64>) {
        let Canvas::Terminal(drawn) = &self.canvas else { return };
        if self.started.elapsed() < PATIENCE {
            return;
        }
        let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = drawn.take_if(|drawn| drawn.stage != stage) {
            old.bar.finish_and_clear();
        }
        let drawn =
            drawn.get_or_insert_with(|| Drawn { stage: stage.to_owned(), bar: bar(stage, total) });
        drawn.bar.set_position(done);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(stage: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {human_pos}"),
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_message(stage.to_owned());
    bar
}
