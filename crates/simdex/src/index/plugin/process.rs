//! A plugin's process: started, asked with a deadline, and ended whatever it does.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;

/// How long a plugin may take, and how much it may say.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For `describe`, starting included.
    pub describe: Duration,
    /// For `build` and `apply`, since the start or the last sign of progress.
    pub build: Duration,
    /// For `open` and all else.
    pub open: Duration,
    /// For `search` and `drop`.
    pub search: Duration,
    /// Bytes of an answer.
    pub answer: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            describe: Duration::from_secs(60),
            build: Duration::from_secs(3600),
            open: Duration::from_secs(300),
            search: Duration::from_secs(60),
            answer: 64 << 20,
        }
    }
}

impl Limits {
    /// The same time for everything.
    pub fn of_seconds(seconds: u64) -> Self {
        let time = Duration::from_secs(seconds);
        Self { describe: time, build: time, open: time, search: time, ..Self::default() }
    }
}

/// How often a waiting caller is asked whether it still wants an answer.
const PULSE: Duration = Duration::from_millis(20);

/// How long a process that has said goodbye, or closed its output, may take to end.
const GRACE: Duration = Duration::from_millis(500);

/// How much of what it wrote to standard error is kept for error messages.
const COMPLAINT: usize = 2048;

/// A running plugin.
#[derive(Debug)]
pub(super) struct Process {
    child: Option<Child>,
    requests: Sender<Vec<u8>>,
    answers: Receiver<Line>,
    complaint: Receiver<String>,
}

/// What came from its output.
#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    TooLong,
}

/// Why there is no line.
#[derive(Debug)]
pub(super) enum Silence {
    /// The process ended, or closed its output; what it last said of itself.
    Ended(String),
    /// It has not answered in time.
    Late,
    /// Its answer is longer than allowed.
    TooLong,
    /// The caller has lost interest.
    Cancelled(Error),
}

impl Process {
    /// Starts the program at `path`.
    ///
    /// # Errors
    /// `Plugin` when the system can't start it.
    pub(super) fn start(path: &Path, answer_limit: u64) -> Result<Self> {
        let mut command = Command::new(path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let message = "the plugin can't be started";
            Error::new(ErrorKind::Plugin, message).with("program", path.display()).source(error)
        })?;
        let (requests, to_write) = channel();
        let (to_read, answers) = sync_channel(16);
        let (to_complain, complaint) = channel();
        if let Some(stdin) = child.stdin.take() {
            spawn("plugin-in", move || write(stdin, &to_write))?;
        }
        if let Some(stdout) = child.stdout.take() {
            spawn("plugin-out", move || read(stdout, answer_limit, &to_read))?;
        }
        if let Some(stderr) = child.stderr.take() {
            spawn("plugin-err", move || overhear(stderr, &to_complain))?;
        }
        Ok(Self { child: Some(child), requests, answers, complaint })
    }

    /// Sends a line; it need not have arrived.
    pub(super) fn send(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        // The writer is gone only when the process is: the missing answer will tell.
        let _ = self.requests.send(line);
    }

    /// Waits for a line.
    pub(super) fn receive(
        &mut self,
        deadline: Instant,
        observer: &dyn Observer,
    ) -> Result<Vec<u8>, Silence> {
        loop {
            observer.checkpoint().map_err(Silence::Cancelled)?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left.min(PULSE)) {
                Ok(Line::Text(line)) => return Ok(line),
                Ok(Line::TooLong) => return Err(Silence::TooLong),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(Silence::Late),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Silence::Ended(self.obituary())),
            }
        }
    }

    /// How it ended, and what it said last.
    fn obituary(&mut self) -> String {
        let status = self.child.as_mut().and_then(|child| wait(child, GRACE));
        let how = match status {
            Some(status) => format!("it ended with {status}"),
            None => "it closed its output".to_owned(),
        };
        match self.complaint.recv_timeout(GRACE) {
            Ok(said) if !said.is_empty() => format!("{how}, and said: {said}"),
            _ => how,
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets it end by itself, since its input ends; it is killed if it doesn't. Does not wait: who
    /// ends with us has nobody to wait for.
    pub(super) fn dismiss(mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Ends the writer and with it the plugin's input.
        drop(self);
        let reap = move || {
            if wait(&mut child, GRACE).is_none() {
                let _ = child.kill();
                let _ = child.wait();
            }
        };
        let _ = spawn("plugin-end", reap);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.into()).spawn(work);
    spawned.map(drop).map_err(|error| {
        Error::new(ErrorKind::Io, "can't start a thread for a plugin").source(error)
    })
}

/// Waits for the end of a process, which the standard library can't do with a limit.
fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}

fn write(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read(stdout: ChildStdout, limit: u64, lines: &SyncSender<Line>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match stdout.by_ref().take(limit.saturating_add(1)).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.len() as u64 > limit => {
                let _ = lines.send(Line::TooLong);
                return;
            }
            Ok(_) => {
                if lines.send(Line::Text(line)).is_err() {
                    return;
                }
            }
        }
    }
}

/// Keeps the end of what a plugin writes to standard error, and hands it over when that closes.
fn overhear(stderr: ChildStderr, complaint: &Sender<String>) {
    let mut stderr = BufReader::new(stderr);
    let mut kept: Vec<u8> = Vec::new();
    let mut line = Vec::new();
    while let Ok(1..) = stderr.by_ref().take(COMPLAINT as u64).read_until(b'\n', &mut line) {
        tracing::debug!(said = %String::from_utf8_lossy(&line).trim_end(), "plugin");
        kept.append(&mut line);
        if kept.len() > COMPLAINT {
            kept.drain(..kept.len() - COMPLAINT);
        }
    }
    let text = String::from_utf8_lossy(&kept);
    // The last line says most: of a Python traceback it is the error.
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let _ = complaint.send(last.trim().to_owned());
}
