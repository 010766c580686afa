//! Asks the llm command, which has plugins for many models.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use super::both_ways;
use crate::failure::UserError;
use crate::query::Content;
use crate::query::vector::numbers;

/// Embeds `content` with `llm embed`.
///
/// # Errors
/// When llm fails, with what it says, or prints no embedding.
pub(crate) fn embed(program: &Path, model: &str, content: &Content) -> anyhow::Result<Vec<f64>> {
    let output = run(program, model, content)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(UserError::new(format!(
            "the llm command can't embed with the model `{model}`: {}",
            said.trim()
        ))
        .hint(both_ways(model))
        .into());
    }
    Ok(embedding(&output.stdout)?)
}

fn run(program: &Path, model: &str, content: &Content) -> anyhow::Result<Output> {
    let mut command = Command::new(program);
    command.args(["embed", "-m", model, "-f", "json", "-i", "-"]);
    let bytes = match content {
        Content::Text(text) => text.clone().into_bytes(),
        Content::Binary(bytes) => {
            command.arg("--binary");
            bytes.clone()
        }
    };
    // Python must read the text as UTF-8, whatever the locale.
    command.env("PYTHONUTF8", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("running {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A thread, because llm may print before it has read everything. When it doesn't read at
        // all, its exit status and its message say why.
        std::thread::spawn(move || stdin.write_all(&bytes));
    }
    child.wait_with_output().with_context(|| format!("running {}", program.display()))
}

fn embedding(stdout: &[u8]) -> Result<Vec<f64>, UserError> {
    let value: Value = serde_json::from_slice(stdout)
        .map_err(|error| nonsense(format!("what it printed is not JSON: {error}")))?;
    match value.as_array() {
        Some(items) if !items.is_empty() => {
            numbers(items).map_err(|problem| nonsense(problem.to_string()))
        }
        _ => Err(nonsense("what it printed is not an array of numbers")),
    }
}

fn nonsense(problem: impl std::fmt::Display) -> UserError {
    UserError::new(format!("the llm command gave no embedding: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arrays_of_numbers_are_embeddings() {
        assert_eq!(embedding(b"[1.0, -2]\n").unwrap(), [1.0, -2.0]);
        for nonsense in ["", "[]", "{}", "[\"a\"]", "[NaN]", "hello"] {
            assert!(embedding(nonsense.as_bytes()).is_err(), "{nonsense}");
        }
    }
}
