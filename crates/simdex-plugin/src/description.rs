//! What a plugin says of itself.

use serde::{Deserialize, Serialize};

use crate::protocol::{Metric, PROTOCOL};

/// The result of `describe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its name: that of the program without `simdex-index-`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for lists.
    pub about: String,
    /// Metrics it knows.
    pub metrics: Vec<Metric>,
    /// Whether it always finds the nearest rows, up to rounding in float32.
    #[serde(default)]
    pub exact: bool,
    /// Whether it keeps files, so that `open` serves where `build` ran before.
    #[serde(default)]
    pub persistent: bool,
    /// Whether `search` takes `allowed`.
    #[serde(default)]
    pub filters: bool,
    /// Whether it knows `apply`.
    #[serde(default)]
    pub updates: bool,
    /// Whether it keeps something outside its folder, and knows `drop`.
    #[serde(default)]
    pub drops: bool,
    /// What users may set.
    #[serde(default)]
    pub options: Vec<OptionSpec>,
}

impl Description {
    /// A plugin without options, approximate, that keeps no files.
    pub fn new(
        name: &str,
        version: &str,
        about: &str,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Self {
        Self {
            protocol: PROTOCOL,
            name: name.to_owned(),
            version: version.to_owned(),
            about: about.to_owned(),
            metrics: metrics.into_iter().collect(),
            exact: false,
            persistent: false,
            filters: false,
            updates: false,
            drops: false,
            options: Vec::new(),
        }
    }
}

/// An option, set with `--set NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptionSpec {
    /// Its name.
    pub name: String,
    /// The value used when it isn't set, as text.
    pub default: String,
    /// One line for help texts.
    pub about: String,
    /// Which values there are.
    #[serde(flatten)]
    pub kind: OptionKind,
    /// For options that only `search` reads: values for `simdex compare` to try without a new build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<String>,
}

/// Which values an option has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum OptionKind {
    /// A whole number.
    Integer {
        /// The least; null: no bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<i64>,
        /// The greatest; null: no bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<i64>,
    },
    /// A number.
    Number {
        /// The least; null: no bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<f64>,
        /// The greatest; null: no bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<f64>,
    },
    /// Any text; the plugin checks it.
    Text,
    /// One of a few.
    Choice {
        /// These.
        choices: Vec<String>,
    },
}

impl OptionSpec {
    /// Rejects a value that can't be used, with the reason.
    ///
    /// # Errors
    /// What is expected.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match &self.kind {
            OptionKind::Integer { minimum, maximum } => {
                let number: i64 = value.parse().map_err(|_| "expected a whole number")?;
                within(number, *minimum, *maximum)
            }
            OptionKind::Number { minimum, maximum } => {
                let number: f64 = value.parse().map_err(|_| "expected a number")?;
                match number.is_finite() {
                    true => within(number, *minimum, *maximum),
                    false => Err("expected a finite number".to_owned()),
                }
            }
            OptionKind::Text => Ok(()),
            OptionKind::Choice { choices } if choices.iter().any(|choice| choice == value) => {
                Ok(())
            }
            OptionKind::Choice { choices } => {
                Err(format!("expected one of {}", choices.join(", ")))
            }
        }
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    number: T,
    minimum: Option<T>,
    maximum: Option<T>,
) -> Result<(), String> {
    match (minimum, maximum) {
        (Some(minimum), _) if number < minimum => Err(format!("expected at least {minimum}")),
        (_, Some(maximum)) if number > maximum => Err(format!("expected at most {maximum}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(json: &str) -> OptionSpec {
        serde_json::from_str(&format!(
            r#"{{"name": "x", "default": "", "about": "", {}}}"#,
            json.trim_matches(['{', '}'])
        ))
        .unwrap()
    }

    #[test]
    fn values_are_checked() {
        let integer = option(r#"{"type": "integer", "minimum": 1, "maximum": 9}"#);
        assert_eq!(integer.check("9"), Ok(()));
        assert_eq!(integer.check("0"), Err("expected at least 1".into()));
        assert_eq!(integer.check("10"), Err("expected at most 9".into()));
        assert!(integer.check("1.5").is_err() && integer.check("").is_err());
        let number = option(r#"{"type": "number", "minimum": 0.5}"#);
        assert_eq!(number.check("1e3"), Ok(()));
        assert!(number.check("NaN").is_err() && number.check("inf").is_err());
        let choice = option(r#"{"type": "choice", "choices": ["a", "b"]}"#);
        assert_eq!(choice.check("b"), Ok(()));
        assert_eq!(choice.check("c"), Err("expected one of a, b".into()));
        assert_eq!(option(r#"{"type": "text"}"#).check("anything"), Ok(()));
    }
}
