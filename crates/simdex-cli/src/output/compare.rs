//! Comparisons: as JSON, as a table, as a page. One form a file.

use simdex::compare::{Comparison, Trial};
use simdex::index::Parameters;

pub(crate) mod html;
pub(crate) mod json;
mod plot;
pub(crate) mod text;

/// What a trial is called: its index, or its kind with the parameters it was tried with.
fn label(trial: &Trial) -> String {
    match &trial.index {
        Some(index) => format!("{index} ({})", trial.kind),
        None if trial.parameters.is_empty() => trial.kind.clone(),
        None => format!("{}: {}", trial.kind, list(&trial.parameters)),
    }
}

/// What each kind that picks among others picked, in a sentence each.
fn picks(comparison: &Comparison) -> impl Iterator<Item = String> {
    let picked =
        |trial: &Trial| Some(format!("{} picked {}", label(trial), trial.picked.as_ref()?));
    comparison.trials.iter().filter_map(picked)
}

/// `a=1 b=2`; `-` when there are none.
fn list(parameters: &Parameters) -> String {
    let settings: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if settings.is_empty() { "-".to_owned() } else { settings.join(" ") }
}

/// A rate, to three digits.
fn rate(rate: f64) -> String {
    match rate {
        r if r < 10.0 => format!("{r:.2}"),
        r if r < 100.0 => format!("{r:.1}"),
        r => super::table::count(r.round() as u64),
    }
}

/// Milliseconds, to a microsecond.
fn milliseconds(ms: f64) -> String {
    format!("{ms:.3}")
}

#[cfg(test)]
mod samples {
    use simdex::compare::{Latency, Point};

    use super::*;

    /// Two kinds: an exact one, and one with a curve.
    pub(super) fn comparison() -> Comparison {
        let point = |parameters: &[(&str, &str)], recall: f64, speed: f64| Point {
            parameters: parameters.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            recall,
            queries_per_second: speed,
            batch_queries_per_second: speed * 2.0,
            latency: Latency { p50_ms: 0.5, p95_ms: 0.75, p99_ms: 1.0 },
        };
        let trial = |index: Option<&str>, kind: &str, points| Trial {
            index: index.map(str::to_owned),
            kind: kind.to_owned(),
            picked: (kind == "curve").then(|| "x: <it> fits".to_owned()),
            metric: simdex::Metric::Cosine,
            parameters: Parameters::new(),
            build_seconds: 1.25,
            bytes: 4096,
            peak_memory_bytes: index.is_none().then_some(1 << 20),
            points,
        };
        let curve =
            vec![point(&[("w", "20")], 0.9325, 20_000.0), point(&[("w", "80")], 0.9975, 8_000.0)];
        Comparison {
            rows: 99_000,
            dimensions: 384,
            queries: 1000,
            k: 10,
            threads: 1,
            build_threads: 1,
            trials: vec![
                trial(None, "scan", vec![point(&[], 1.0, 800.0)]),
                trial(Some("<a & b>"), "curve", curve),
            ],
            notices: Vec::new(),
        }
    }
}
