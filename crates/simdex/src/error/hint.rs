//! The next step after an error, and the command that takes it.

use std::borrow::Cow;
use std::fmt;

/// What to do next.
///
/// `Display` prints it with the name under which simdex is installed; [`Hint::line`] with what the
/// reader types to run it on this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    words: String,
    command: Vec<String>,
}

impl Hint {
    /// Words that end in a command: what `arguments` tell the program `simdex`.
    ///
    /// ```
    /// # use simdex::error::Hint;
    /// let hint = Hint::command("drop it", ["index", "drop", "my posts"]);
    /// assert_eq!(hint.to_string(), "drop it: simdex index drop 'my posts'");
    /// assert_eq!(hint.line("simdex -d a.db"), "drop it: simdex -d a.db index drop 'my posts'");
    /// ```
    pub fn command<'a>(
        words: impl Into<String>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let command = arguments.into_iter().map(str::to_owned).collect();
        Self { words: words.into(), command }
    }

    /// In one line; `program` stands in front of the arguments, as it is typed in a shell.
    pub fn line(&self, program: &str) -> String {
        if self.command.is_empty() {
            return self.words.clone();
        }
        let arguments: Vec<_> = self.command.iter().map(|argument| quote(argument)).collect();
        format!("{}: {program} {}", self.words, arguments.join(" "))
    }
}

/// `text` as one word of a POSIX shell.
pub fn quote(text: &str) -> Cow<'_, str> {
    // No shell takes a NUL in an argument, however it is written.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed(text))
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line("simdex"))
    }
}

impl From<&str> for Hint {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Self {
        Self { words, command: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_needed() {
        assert_eq!(quote("org/model-1:q8"), "org/model-1:q8");
        assert_eq!(quote("I'm here"), r#""I'm here""#);
        assert_eq!(quote(""), "''");
        assert_eq!(quote("$HOME"), "'$HOME'");
    }
}
