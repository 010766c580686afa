//! What every plugin must get right, checked on real processes: what `simdex plugin test` runs.

mod checks;
mod data;
mod subject;

use serde::Serialize;

use crate::error::Result;
use crate::index::Parameters;
use crate::index::plugin::kind::{Plugin, check_metric, check_options};
use crate::observe::Observer;
use crate::types::Metric;

use checks::{CHECKS, Verdict};
use subject::Subject;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, with the metric where it is one metric's.
    pub name: String,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// As it should, and a figure where there is one.
    Passed(String),
    /// Not as it should.
    Failed(String),
    /// The plugin does not claim it.
    NotClaimed,
}

/// Checks a plugin with the given options: every check, with every metric that it knows or with one.
///
/// # Errors
/// `Plugin` when it can't even describe itself; `Invalid` for options and metrics that it has not;
/// `Io` when there is no place for files; `Cancelled`. That it fails a check is no error.
pub fn run(
    plugin: &Plugin,
    options: &Parameters,
    metric: Option<Metric>,
    observer: &dyn Observer,
) -> Result<Vec<Check>> {
    let description = plugin.describe(observer)?;
    check_options(&description, options)?;
    let metrics = match metric {
        Some(metric) => {
            check_metric(&description, metric)?;
            vec![metric.into()]
        }
        None => description.metrics.clone(),
    };
    let mut done = vec![checks::description(plugin, &description)];
    let total = (CHECKS.len() * metrics.len()) as u64;
    for metric in &metrics {
        for (name, check) in CHECKS {
            observer.checkpoint()?;
            observer.progress("checking", done.len() as u64 - 1, Some(total));
            let subject = Subject::new(plugin, &description, *metric, options, observer);
            let outcome = match check(&subject) {
                Ok(Verdict::Passed(figure)) => Outcome::Passed(figure),
                Ok(Verdict::NotClaimed) => Outcome::NotClaimed,
                Ok(Verdict::Failed(reason)) => Outcome::Failed(reason),
                Err(error) => {
                    observer.checkpoint()?;
                    Outcome::Failed(error.to_string())
                }
            };
            done.push(Check { name: format!("{name} ({})", metric.name()), outcome });
        }
    }
    Ok(done)
}
