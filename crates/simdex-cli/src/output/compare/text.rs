//! A comparison as a table.

use simdex::compare::{Comparison, Point, Trial};

use super::{label, list, milliseconds, picks, rate};
use crate::output::table::{Align, bytes, count, rows, seconds, table};

const COLUMNS: [(&str, Align); 12] = [
    ("index", Align::Left),
    ("metric", Align::Left),
    ("parameters", Align::Left),
    ("build", Align::Right),
    ("size", Align::Right),
    ("peak memory", Align::Right),
    ("recall", Align::Right),
    ("queries/s", Align::Right),
    ("in a batch", Align::Right),
    ("p50 ms", Align::Right),
    ("p95 ms", Align::Right),
    ("p99 ms", Align::Right),
];

/// What was measured, in a sentence and a table.
pub(crate) fn report(comparison: &Comparison) -> String {
    let mut text = format!("{}\n\n{}", sentence(comparison), table(&COLUMNS, cells(comparison)));
    for picked in picks(comparison) {
        text += &format!("\n\n{picked}");
    }
    text
}

/// What was measured on what.
pub(super) fn sentence(comparison: &Comparison) -> String {
    let Comparison { dimensions, queries, k, threads, .. } = comparison;
    format!(
        "{} of {dimensions} dimensions, {} quer{} for {k}, {threads} thread{}",
        rows(comparison.rows as u64),
        count(*queries as u64),
        if *queries == 1 { "y" } else { "ies" },
        if *threads == 1 { "" } else { "s" },
    )
}

/// The names of the columns.
pub(super) fn columns() -> impl Iterator<Item = (&'static str, Align)> {
    COLUMNS.into_iter()
}

/// A row for each point.
pub(super) fn cells(comparison: &Comparison) -> Vec<Vec<String>> {
    let trials = comparison.trials.iter();
    trials.flat_map(|trial| trial.points.iter().map(|point| row(trial, point))).collect()
}

fn row(trial: &Trial, point: &Point) -> Vec<String> {
    vec![
        label(trial),
        trial.metric.to_string(),
        list(&point.parameters),
        seconds(trial.build_seconds),
        bytes(trial.bytes),
        trial.peak_memory_bytes.map_or_else(|| "-".to_owned(), bytes),
        format!("{:.4}", point.recall),
        rate(point.queries_per_second),
        rate(point.batch_queries_per_second),
        milliseconds(point.latency.p50_ms),
        milliseconds(point.latency.p95_ms),
        milliseconds(point.latency.p99_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_point() {
        let text = report(&super::super::samples::comparison());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "99,000 rows of 384 dimensions, 1,000 queries for 10, 1 thread");
        assert_eq!(lines.len(), 2 + 1 + 3 + 2);
        assert_eq!(lines[7], "<a & b> (curve) picked x: <it> fits");
        assert!(lines[3].starts_with("scan") && lines[3].contains(" 1.0000 "), "{text}");
        assert!(lines[5].contains("w=80") && lines[5].contains("8,000"), "{text}");
    }
}
