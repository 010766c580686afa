//! `--vector`: a JSON array of numbers.

use std::path::Path;

use serde_json::Value;

use crate::failure::UserError;

/// The vector that `argument` holds or, as `@FILE` or `-`, names.
///
/// # Errors
/// For anything but an array of numbers, with the place.
pub(crate) fn read(argument: &str) -> anyhow::Result<Vec<f64>> {
    let path = if argument == "-" { Some("-") } else { argument.strip_prefix('@') };
    let vector = match path {
        Some(path) => parse(&super::read(Path::new(path))?),
        None => parse(argument.as_bytes()),
    };
    Ok(vector?)
}

fn parse(json: &[u8]) -> Result<Vec<f64>, UserError> {
    if json.trim_ascii().is_empty() {
        return Err(refused("it is empty"));
    }
    let value: Value = serde_json::from_slice(json).map_err(|error| refused(error.to_string()))?;
    let Value::Array(items) = value else {
        return Err(refused(format!("it is {}", describe(&value))));
    };
    if items.is_empty() {
        return Err(refused("the array is empty"));
    }
    numbers(&items).map_err(|problem| refused(problem.to_string()))
}

fn refused(problem: impl std::fmt::Display) -> UserError {
    UserError::new(format!("--vector needs a JSON array of numbers: {problem}"))
        .hint("for example '[0.1, -0.2]', @query.json for a file, - for standard input")
}

/// An item of an array that is not a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotANumber {
    position: usize,
    found: &'static str,
}

impl std::fmt::Display for NotANumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "item {} is {}", self.position, self.found)
    }
}

/// The items as numbers, counting from 1 in errors.
pub(crate) fn numbers(items: &[Value]) -> Result<Vec<f64>, NotANumber> {
    let numbers = items.iter().enumerate().map(|(index, item)| {
        let number = item.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| NotANumber { position: index + 1, found: describe(item) })
    });
    numbers.collect()
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_numbers_are_taken() {
        assert_eq!(parse(b" [1, -2.5, 1e-3] \n").unwrap(), [1.0, -2.5, 0.001]);
    }

    #[test]
    fn errors_name_the_place() {
        for (json, expected) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("[]", "the array is empty"),
            ("{}", "it is an object"),
            ("3", "it is a number"),
            ("[1, \"2\"]", "item 2 is a string"),
            ("[[1]]", "item 1 is an array"),
            ("[1, null]", "item 2 is null"),
            ("[1e999]", "number out of range at line 1 column"),
            ("[NaN]", "expected value at line 1 column 2"),
            ("[1,]", "trailing comma at line 1 column 4"),
            ("[1] 2", "trailing characters at line 1 column 5"),
        ] {
            let error = parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
