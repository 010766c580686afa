//! Every point of a comparison, each with all that is known of it.

use serde::Serialize;
use simdex::Metric;
use simdex::compare::{Comparison, Latency};
use simdex::index::Parameters;

/// A comparison as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    rows: usize,
    dimensions: usize,
    queries: usize,
    k: usize,
    threads: usize,
    build_threads: usize,
    points: Vec<Point<'a>>,
    notices: &'a [String],
}

#[derive(Debug, Serialize)]
struct Point<'a> {
    index: Option<&'a str>,
    kind: &'a str,
    picked: Option<&'a str>,
    metric: Metric,
    parameters: &'a Parameters,
    build_seconds: f64,
    bytes: u64,
    peak_memory_bytes: Option<u64>,
    recall: f64,
    queries_per_second: f64,
    batch_queries_per_second: f64,
    #[serde(flatten)]
    latency: Latency,
}

pub(crate) fn report(comparison: &Comparison) -> Report<'_> {
    let points = comparison.trials.iter().flat_map(|trial| {
        trial.points.iter().map(|point| Point {
            index: trial.index.as_deref(),
            kind: &trial.kind,
            picked: trial.picked.as_deref(),
            metric: trial.metric,
            parameters: &point.parameters,
            build_seconds: trial.build_seconds,
            bytes: trial.bytes,
            peak_memory_bytes: trial.peak_memory_bytes,
            recall: point.recall,
            queries_per_second: point.queries_per_second,
            batch_queries_per_second: point.batch_queries_per_second,
            latency: point.latency,
        })
    });
    Report {
        rows: comparison.rows,
        dimensions: comparison.dimensions,
        queries: comparison.queries,
        k: comparison.k,
        threads: comparison.threads,
        build_threads: comparison.build_threads,
        points: points.collect(),
        notices: &comparison.notices,
    }
}
