//! Where words go: data to stdout, talk to stderr. Nothing else in the crate prints.

use std::io::{self, BufWriter, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();

/// How much is said on stderr beside errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talk {
    /// Errors only.
    Quiet,
    /// Notes and progress.
    Normal,
    /// How answers were found, too.
    Verbose,
}

/// Prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    talk: Talk,
}

impl Printer {
    pub(crate) const fn new(talk: Talk) -> Self {
        Self { talk }
    }

    /// Hands `write` the standard output, and flushes it.
    pub(crate) fn data(
        &self,
        write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        write(&mut out)?;
        out.flush()?;
        Ok(())
    }

    /// Prints a line on the standard output.
    pub(crate) fn line(&self, line: &str) -> anyhow::Result<()> {
        self.data(|out| Ok(writeln!(out, "{line}")?))
    }

    /// Prints a value as indented JSON on the standard output.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        self.data(|out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            Ok(writeln!(out)?)
        })
    }

    /// What went wrong, and the next step.
    pub(crate) fn error(&self, message: &str, hint: Option<&str>) {
        say(ERROR, "error", message);
        if let Some(hint) = hint {
            say(HINT, "hint", hint);
        }
    }

    /// What the user should know although the command worked.
    pub(crate) fn note(&self, message: &str) {
        if self.talk >= Talk::Normal {
            say(NOTE, "note", message);
        }
    }

    pub(crate) fn notes(&self, messages: &[String]) {
        messages.iter().for_each(|message| self.note(message));
    }

    /// The command to try next.
    pub(crate) fn next(&self, command: &str) {
        if self.talk >= Talk::Normal {
            say(HINT, "next", command);
        }
    }

    /// How something was done.
    pub(crate) fn detail(&self, message: &str) {
        if self.talk >= Talk::Verbose {
            say(Style::new().dimmed(), "detail", message);
        }
    }

    /// Whether progress may be drawn.
    pub(crate) fn draws_progress(&self) -> bool {
        self.talk >= Talk::Normal && io::stderr().is_terminal()
    }
}

/// Talk that can't be delivered is no reason to fail, so errors of stderr are dropped.
fn say(style: Style, label: &str, message: &str) {
    let mut stderr = anstream::stderr().lock();
    let message = visible(message);
    let _ = writeln!(stderr, "{style}{label}:{style:#} {message}");
}

/// Names and values in messages come from the user's data: they must not steer the terminal.
fn visible(message: &str) -> String {
    let unsafe_character = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    message.chars().map(|c| if unsafe_character(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_the_data_are_not_passed_on() {
        assert_eq!(visible("id `\u{1b}[2Jx`\n\tok"), "id `\u{fffd}[2Jx`\n\tok");
    }

    #[test]
    fn a_failing_writer_is_an_error() {
        let result = Printer::new(Talk::Quiet)
            .data(|_| Err(io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(result.is_err());
    }
}
