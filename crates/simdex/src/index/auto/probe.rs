//! Picking a kind by trying both on the rows themselves.

use std::time::Duration;

use cpu_time::ThreadTime;

use crate::error::{Error, ErrorKind, Result};
use crate::index::flat::Flat;
use crate::index::graph::{self, Graph};
use crate::index::{Index, Job, Kind, Parameters, Sections};
use crate::matrix::{Matrix, MatrixBuilder};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

use super::pick::Reason;
use super::{Choice, Picked};

/// Rows that a search asks for in the probe.
const K: usize = 10;

/// Queries of the probe, taken from the rows, and how often each is asked.
const QUERIES: usize = 16;
const ROUNDS: usize = 5;

/// Graphs over an eighth of the rows, within these bounds, and over a quarter of that tell whether
/// one over all is worth its build.
const SAMPLE: std::ops::RangeInclusive<usize> = 16_384..=32_768;

/// How costs are measured.
pub(super) trait Meter {
    /// Seconds of one query by `index`, a scan.
    fn scan(&self, index: &dyn Index, queries: &[Query], observer: &dyn Observer) -> Result<f64>;

    /// Seconds of one query by a graph, which estimates so many distances for each.
    fn walk(
        &self,
        graph: (&dyn Index, f64),
        queries: &[Query],
        observer: &dyn Observer,
    ) -> Result<f64>;
}

/// What must hold for a graph to be picked.
pub(super) struct Policy<'a> {
    /// Scans up to this many seconds are short: a whole command takes longer to start.
    pub(super) short: f64,
    /// How many times faster than a scan a graph must be.
    pub(super) gain: f64,
    pub(super) meter: &'a dyn Meter,
}

impl<'a> Policy<'a> {
    pub(super) fn new(meter: &'a dyn Meter) -> Self {
        Self { short: 1e-3, gain: 2.0, meter }
    }
}

/// Builds the kind that suits the rows. O(n · dim), and what a graph takes where one is tried.
pub(super) fn build(
    vectors: &Matrix,
    metric: Metric,
    parameters: &Parameters,
    policy: &Policy<'_>,
    observer: &dyn Observer,
) -> Result<(Choice, Sections)> {
    let recall = graph::target_recall(parameters)?;
    let queries = queries(vectors, metric);
    let (flat, scan) = try_flat(vectors, metric, (policy, &queries), observer)?;
    let exact = |reason| Ok((Choice { kind: Picked::Flat, reason }, flat.clone()));
    if scan <= policy.short {
        return exact(Reason::ShortScan { scan });
    }
    let some = (vectors.rows() / 8).clamp(*SAMPLE.start(), *SAMPLE.end());
    let sizes = [some / 4, some].into_iter().filter(|&rows| rows < vectors.rows());
    let mut before: Option<Trial> = None;
    for rows in sizes {
        let part = sample(vectors, rows)?;
        let trial = match try_graph(&part, metric, parameters, (policy, &queries), observer)? {
            (Some(trial), _) => trial.after(before),
            (None, _) => return exact(Reason::OutOfReach { scan, recall, rows }),
        };
        let walk = trial.seconds_at(vectors.rows());
        if walk * policy.gain > scan {
            return exact(Reason::NotFaster { scan, walk, recall });
        }
        if trial.distances_at(vectors.rows()) > graph::MOST_DISTANCES {
            return exact(Reason::OutOfReach { scan, recall, rows });
        }
        before = Some(trial);
    }
    let (trial, sections) = try_graph(vectors, metric, parameters, (policy, &queries), observer)?;
    match trial {
        None => exact(Reason::OutOfReach { scan, recall, rows: vectors.rows() }),
        Some(Trial { seconds: walk, .. }) if walk * policy.gain > scan => {
            exact(Reason::NotFaster { scan, walk, recall })
        }
        Some(Trial { seconds: walk, .. }) => {
            let reason = Reason::Faster { scan, walk, recall };
            Ok((Choice { kind: Picked::Graph, reason }, sections))
        }
    }
}

/// Whether a graph over these rows is still what [`build`] would pick; `None`: it may not be.
/// O(n · dim).
pub(super) fn confirm(
    job: &Job<'_>,
    sections: &Sections,
    policy: &Policy<'_>,
    observer: &dyn Observer,
) -> Result<Option<Choice>> {
    let Job { vectors, metric, parameters, .. } = *job;
    let recall = graph::target_recall(parameters)?;
    let queries = queries(vectors, metric);
    let (_, scan) = try_flat(vectors, metric, (policy, &queries), observer)?;
    let rows = (vectors, metric, parameters);
    let Some(trial) = measure_graph(rows, sections, (policy, &queries), observer)? else {
        return Ok(None);
    };
    let walk = trial.seconds;
    let is_better = scan > policy.short && walk * policy.gain <= scan;
    let reason = Reason::Faster { scan, walk, recall };
    Ok(is_better.then_some(Choice { kind: Picked::Graph, reason }))
}

/// What a search of a graph costs.
#[derive(Debug, Clone, Copy)]
struct Trial {
    rows: usize,
    distances: f64,
    seconds: f64,
    /// Costs grow like this power of the rows.
    power: f64,
}

impl Trial {
    /// Learns from a graph over fewer rows how the cost grows: about like the logarithm of the rows
    /// where they have structure, like a root where they have none.
    fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let rows = self.rows as f64 / before.rows as f64;
        let power = (self.distances / before.distances).ln() / rows.ln();
        Self { power: power.clamp(0.0, 1.0), ..self }
    }

    fn growth(self, rows: usize) -> f64 {
        (rows as f64 / self.rows as f64).powf(self.power)
    }

    fn seconds_at(self, rows: usize) -> f64 {
        self.seconds * self.growth(rows)
    }

    fn distances_at(self, rows: usize) -> f64 {
        self.distances * self.growth(rows)
    }
}

/// Builds a graph and measures it; no trial where it can't be tuned for the target recall.
fn try_graph(
    vectors: &Matrix,
    metric: Metric,
    parameters: &Parameters,
    (policy, queries): (&Policy<'_>, &[Query]),
    observer: &dyn Observer,
) -> Result<(Option<Trial>, Sections)> {
    let sections = match Graph.build(vectors, metric, parameters, observer) {
        // Too many rows.
        Err(error) if error.kind() == ErrorKind::Invalid => return Ok((None, Sections::new())),
        built => built?,
    };
    let rows = (vectors, metric, parameters);
    Ok((measure_graph(rows, &sections, (policy, queries), observer)?, sections))
}

/// Measures a graph; `None` where it can't be tuned for the target recall.
fn measure_graph(
    (vectors, metric, parameters): (&Matrix, Metric, &Parameters),
    sections: &Sections,
    (policy, queries): (&Policy<'_>, &[Query]),
    observer: &dyn Observer,
) -> Result<Option<Trial>> {
    let tuned = graph::open_tuned(vectors.clone(), metric, parameters, sections, K)?;
    let Some(graph::Tuned { index, distances }) = tuned else { return Ok(None) };
    let seconds = policy.meter.walk((&*index, distances), queries, observer)?;
    Ok(Some(Trial { rows: vectors.rows(), distances, seconds, power: 0.0 }))
}

/// Builds what scans all rows, and measures it.
fn try_flat(
    vectors: &Matrix,
    metric: Metric,
    (policy, queries): (&Policy<'_>, &[Query]),
    observer: &dyn Observer,
) -> Result<(Sections, f64)> {
    let none = Parameters::new();
    let flat = Flat.build(vectors, metric, &none, observer)?;
    let index = Flat.open(vectors.clone(), metric, &none, &flat)?;
    let scan = policy.meter.scan(&*index, queries, observer)?;
    Ok((flat, scan))
}

/// Rows at equal distances, as queries.
fn queries(vectors: &Matrix, metric: Metric) -> Vec<Query> {
    let step = vectors.rows().div_ceil(QUERIES).max(1);
    let rows = (0..vectors.rows()).step_by(step);
    rows.filter_map(|row| Query::from_f32(vectors.row(row), metric).ok()).collect()
}

/// `rows` of the rows, at equal distances.
fn sample(vectors: &Matrix, rows: usize) -> Result<Matrix> {
    let mut part = MatrixBuilder::new(vectors.dim(), rows)?;
    for number in 0..rows {
        let row = (number as u128 * vectors.rows() as u128 / rows as u128) as usize;
        part.add_row().copy_from_slice(vectors.row(row));
    }
    part.finish()
}

/// Measures the processor's time on one thread, which other programs disturb little: of each query
/// the fastest round, of these the median.
pub(super) struct Stopwatch;

impl Stopwatch {
    fn time(index: &dyn Index, queries: &[Query], observer: &dyn Observer) -> Result<f64> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|error| Error::new(ErrorKind::Io, "can't start a thread").source(error))?;
        pool.install(|| {
            let mut fastest = vec![Duration::MAX; queries.len()];
            for _ in 0..ROUNDS {
                for (query, fastest) in queries.iter().zip(&mut fastest) {
                    let start = ThreadTime::now();
                    index.candidates(query, K, None, observer)?;
                    *fastest = start.elapsed().min(*fastest);
                }
            }
            fastest.sort_unstable();
            Ok(fastest.get(fastest.len() / 2).map_or(0.0, Duration::as_secs_f64))
        })
    }
}

impl Meter for Stopwatch {
    fn scan(&self, index: &dyn Index, queries: &[Query], observer: &dyn Observer) -> Result<f64> {
        Self::time(index, queries, observer)
    }

    fn walk(
        &self,
        (graph, _): (&dyn Index, f64),
        queries: &[Query],
        observer: &dyn Observer,
    ) -> Result<f64> {
        Self::time(graph, queries, observer)
    }
}
