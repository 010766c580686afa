//! What a comparison says of a contender.

use std::time::Duration;

use serde::Serialize;

use crate::index::Parameters;
use crate::types::Metric;

/// One contender: what building it cost, and what its searches reach.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// The index it is; `None`: it was tried on the fly.
    pub index: Option<String>,
    /// The kind.
    pub kind: String,
    /// What the kind picked, and why, where it is one that picks.
    pub picked: Option<String>,
    /// The metric.
    pub metric: Metric,
    /// Parameters of the build.
    pub parameters: Parameters,
    /// How long the build took.
    pub build_seconds: f64,
    /// Bytes of the structure, vectors not counted.
    pub bytes: u64,
    /// The most memory the process held during build and searches, vectors included; `None`: the
    /// system doesn't tell.
    pub peak_memory_bytes: Option<u64>,
    /// One for each parameter set of [`crate::index::Kind::sweep`], the contender's own first.
    pub points: Vec<Point>,
}

/// What searches with one parameter set reach.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// The contender's parameters and those of the sweep.
    pub parameters: Parameters,
    /// Share of the true nearest rows that were returned, 0 … 1.
    pub recall: f64,
    /// Queries per second, one after the other.
    pub queries_per_second: f64,
    /// Queries per second, all in one call.
    pub batch_queries_per_second: f64,
    /// How long single queries took.
    pub latency: Latency,
}

/// Percentiles of the time of a single query, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the queries were done by then.
    pub p50_ms: f64,
    /// 95 in 100 were.
    pub p95_ms: f64,
    /// 99 in 100 were.
    pub p99_ms: f64,
}

impl Latency {
    /// The nearest-rank percentiles of `times`; zeros when there are none. Sorts them.
    pub(super) fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self { p50_ms: percentile(50), p95_ms: percentile(95), p99_ms: percentile(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut times: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let latency = Latency::of(&mut times);
        assert_eq!([latency.p50_ms, latency.p95_ms, latency.p99_ms], [100.0, 190.0, 198.0]);
        let one = Latency::of(&mut [Duration::from_millis(7)]);
        assert_eq!([one.p50_ms, one.p99_ms], [7.0, 7.0]);
        assert_eq!(Latency::of(&mut []).p50_ms, 0.0);
    }
}
