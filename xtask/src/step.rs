//! One command of many: shown before it runs, timed, and repeatable by hand when it fails.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A command to run at the root of the checkout.
pub(crate) struct Step {
    command: Command,
}

impl Step {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(workspace::root());
        Self { command }
    }

    /// Cargo, with arguments separated by spaces.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new("cargo").args(arguments.split_whitespace()).lean()
    }

    /// In CI, without what would make Cargo's next build fast: there is none.
    pub(crate) fn lean(self) -> Self {
        if workspace::is_ci() { self.env("CARGO_INCREMENTAL", "0") } else { self }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What to type to repeat it.
    fn line(&self) -> String {
        let variables = self
            .command
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", text(name), quoted(value?))));
        let words = [self.command.get_program()].into_iter().chain(self.command.get_args());
        variables.chain(words.map(quoted)).collect::<Vec<_>>().join(" ")
    }

    /// Runs it with its output shown.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("\n$ {}", self.line());
        let status = self.command.status().with_context(|| format!("can't run {}", self.line()))?;
        if !status.success() {
            bail!("{status}; to repeat it:\n  {}", self.line());
        }
        Ok(())
    }

    /// Runs it with what it says kept for the case that it fails; returns that.
    pub(crate) fn run_quietly(mut self) -> Result<String> {
        println!("\n$ {}", self.line());
        let line = self.line();
        let output = self.command.output().with_context(|| format!("can't run {line}"))?;
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("{talk}\n{}; to repeat it:\n  {line}", output.status);
        }
        Ok(talk)
    }

    /// Runs it, unseen by the terminal, and returns what it printed.
    pub(crate) fn read(mut self) -> Result<String> {
        let line = self.line();
        let output = self.command.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("can't run {line}"))?;
        if !output.status.success() {
            let talk = String::from_utf8_lossy(&output.stderr);
            bail!("{talk}\n{}; to repeat it:\n  {line}", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("output of {line}"))
    }

    /// Runs it unheard; whether it succeeded.
    pub(crate) fn succeeds(mut self) -> bool {
        let status = self.command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

/// A word as a shell reads it.
fn quoted(value: &OsStr) -> String {
    let word = text(value);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// What was done, for the summary at the end.
#[derive(Default)]
pub(crate) struct Log {
    lines: Vec<String>,
}

impl Log {
    /// Does one part of the work; stops all of it when that fails.
    pub(crate) fn part(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        work().with_context(|| format!("{name}: failed"))?;
        self.lines.push(format!("{name}: passed in {:.0} s", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Notes what this machine can't do, which CI must.
    pub(crate) fn left_out(&mut self, name: &str, reason: &str) -> Result<()> {
        if workspace::is_ci() {
            bail!("{name}: {reason}, and CI=true leaves nothing out");
        }
        let line = format!("{name}: left out, {reason}");
        println!("\n{line}");
        self.lines.push(line);
        Ok(())
    }

    pub(crate) fn print(&self) {
        println!("\n{}", self.lines.join("\n"));
    }
}
