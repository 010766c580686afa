//! The measurements. Everything here but builds runs within the thread pool of searches.

use std::path::Path;
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::recall::Bars;
use super::{Comparison, Contender, Contest, Latency, Point, Trial, memory, truth};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{AnyKind, Gone, Index, Job, Parameters, Released, Sections};
use crate::matrix::Matrix;
use crate::observe::{Observer, Silent};
use crate::search::query::Query;
use crate::search::rerank::nearest;
use crate::snapshot::segment::SegmentId;
use crate::types::{Metric, Neighbor};

/// Queries asked before the clock runs: caches and pages are as in a process that has searched.
const WARM_UP: usize = 16;

/// Fast searches are repeated until this much time has been measured.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

/// How many queries pass between two reports of progress.
const QUERIES_BETWEEN_REPORTS: usize = 32;

/// Measures every contender.
pub(super) fn all(
    contest: &Contest,
    builders: &ThreadPool,
    observer: &dyn Observer,
) -> Result<Comparison> {
    let mut workloads: Vec<Workload<'_>> = Vec::new();
    let mut trials = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    for contender in &contest.contenders {
        let known = workloads.iter().position(|known| known.metric == contender.metric);
        let position = match known {
            Some(position) => position,
            None => {
                workloads.push(Workload::new(contest, contender.metric, observer)?);
                workloads.len() - 1
            }
        };
        match workloads[position].trial(contender, builders, observer) {
            Ok(trial) => trials.push(trial),
            // A kind need not know every metric or size, and a plugin may fail; that is no reason to
            // hide the others.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Invalid | ErrorKind::Plugin | ErrorKind::Unavailable
                ) =>
            {
                failures.push(error.with("left out", contender.label()));
            }
            Err(error) => return Err(error.with("measuring", contender.label())),
        }
    }
    let notices = failures.iter().map(Error::to_string).collect();
    match failures.into_iter().next() {
        Some(error) if trials.is_empty() => Err(error),
        _ => Ok(Comparison {
            rows: contest.base.rows(),
            dimensions: contest.base.dim(),
            queries: contest.queries.rows(),
            k: contest.k,
            threads: rayon::current_num_threads(),
            build_threads: builders.current_num_threads(),
            trials,
            notices,
        }),
    }
}

/// What a kind keeps elsewhere for a contender; removed when dropped.
struct Elsewhere<'a> {
    kind: &'a AnyKind,
    name: &'a str,
    parameters: &'a Parameters,
    folder: &'a Path,
    /// What the build made, once it has.
    made: Option<Sections>,
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        if let Ok(Some(notice)) = self.kind.forget(self.name, self.parameters) {
            tracing::warn!("{notice}");
        }
        let (parameters, made) = (self.parameters, self.made.as_ref());
        let folders = [self.folder.to_owned()];
        let gone = Gone { folders: &folders, kept: None, parameters, made };
        match self.kind.release(&gone, &Silent) {
            Released::Done => {}
            Released::NotYet(notice) | Released::Never(notice) => tracing::warn!("{notice}"),
        }
    }
}

/// What contenders of one metric have in common.
struct Workload<'a> {
    base: &'a Matrix,
    metric: Metric,
    queries: Vec<Query>,
    bars: Bars,
    k: usize,
}

impl<'a> Workload<'a> {
    fn new(contest: &'a Contest, metric: Metric, observer: &dyn Observer) -> Result<Self> {
        let vectors = contest.queries.values().chunks(contest.queries.dim());
        let queries: Vec<Query> =
            vectors.map(|vector| Query::from_f32(vector, metric)).collect::<Result<_>>()?;
        let bars = truth::bars(contest, metric, &queries, observer)?;
        Ok(Self { base: &contest.base, metric, queries, bars, k: contest.k })
    }

    /// Builds a contender and searches it with each of its parameter sets.
    fn trial(
        &self,
        contender: &Contender,
        builders: &ThreadPool,
        observer: &dyn Observer,
    ) -> Result<Trial> {
        let Contender { kind, parameters, .. } = contender;
        let folder = tempfile::tempdir()?;
        memory::forget_peak();
        let start = Instant::now();
        let name = SegmentId::random()?.to_string();
        let mut elsewhere =
            Elsewhere { kind, name: &name, parameters, folder: folder.path(), made: None };
        let place = (folder.path(), name.as_str());
        let job = self.job(parameters, place);
        let sections = builders.install(|| kind.build_in(&job, observer))?;
        let build_seconds = start.elapsed().as_secs_f64();
        elsewhere.made = Some(sections.clone());
        let (mut points, mut picked) = (Vec::new(), None);
        for parameters in parameter_sets(contender) {
            let index = kind.open_in(&self.job(&parameters, place), &sections)?;
            picked = index.picked();
            let stage = format!("searching {}{}", contender.label(), list(&parameters));
            points.push(self.point(&*index, parameters, &stage, observer)?);
        }
        Ok(Trial {
            index: contender.index.clone(),
            kind: kind.name().to_owned(),
            picked,
            metric: self.metric,
            parameters: parameters.clone(),
            build_seconds,
            bytes: sections.values().map(|section| section.len() as u64).sum::<u64>()
                + bytes_in(folder.path()),
            // What a plugin holds is in a process of its own.
            peak_memory_bytes: match kind {
                AnyKind::BuiltIn(_) => memory::peak(),
                AnyKind::Plugin(_) => None,
            },
            points,
        })
    }

    fn job<'b>(
        &'b self,
        parameters: &'b Parameters,
        (folder, name): (&'b Path, &'b str),
    ) -> Job<'b> {
        let (folder, name) = (Some(folder), Some(name));
        Job { vectors: self.base, metric: self.metric, parameters, folder, name }
    }

    fn point(
        &self,
        index: &dyn Index,
        parameters: Parameters,
        stage: &str,
        observer: &dyn Observer,
    ) -> Result<Point> {
        let (recall, mut times) = self.one_by_one(index, stage, observer)?;
        let batch_queries_per_second = self.batches(index, observer)?;
        let total: Duration = times.iter().sum();
        let queries_per_second = rate(times.len(), total);
        let latency = Latency::of(&mut times);
        Ok(Point { parameters, recall, queries_per_second, batch_queries_per_second, latency })
    }

    /// Single queries: recall, and the time of each.
    fn one_by_one(
        &self,
        index: &dyn Index,
        stage: &str,
        observer: &dyn Observer,
    ) -> Result<(f64, Vec<Duration>)> {
        for query in self.queries.iter().take(WARM_UP) {
            self.search(index, query, observer)?;
        }
        let total = self.queries.len() as u64;
        let (mut wanted, mut found) = (0, 0);
        let mut times = Vec::with_capacity(self.queries.len());
        let mut measured = Duration::ZERO;
        while measured < LONG_ENOUGH {
            for (number, query) in self.queries.iter().enumerate() {
                if number.is_multiple_of(QUERIES_BETWEEN_REPORTS) {
                    observer.checkpoint()?;
                    observer.progress(stage, number as u64, Some(total));
                }
                let start = Instant::now();
                let answer = self.search(index, query, observer)?;
                let time = start.elapsed();
                times.push(time);
                measured += time;
                // Every pass counts: answers are the same each time, or the mean is what is said.
                let (want, have) = self.bars.found(number, query, &answer);
                wanted += want;
                found += have;
            }
        }
        Ok((found as f64 / wanted.max(1) as f64, times))
    }

    fn search(
        &self,
        index: &dyn Index,
        query: &Query,
        observer: &dyn Observer,
    ) -> Result<Vec<Neighbor>> {
        let rows = index.candidates(query, self.k, None, observer)?;
        Ok(nearest(query, self.base, &rows, self.k))
    }

    /// All queries in one call, exact scores included: queries per second.
    fn batches(&self, index: &dyn Index, observer: &dyn Observer) -> Result<f64> {
        let (mut queries, mut measured) = (0, Duration::ZERO);
        while measured < LONG_ENOUGH {
            observer.checkpoint()?;
            let start = Instant::now();
            let answers = index.nearest_batch(&self.queries, self.base, self.k, None, observer)?;
            measured += start.elapsed();
            queries += answers.len();
        }
        Ok(rate(queries, measured))
    }
}

/// The contender's own parameters, then those of the sweep; what the user set stays as it is.
fn parameter_sets(contender: &Contender) -> Vec<Parameters> {
    let mut sets = vec![contender.parameters.clone()];
    for mut set in contender.kind.sweep() {
        set.extend(contender.parameters.clone());
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

/// ` a=1 b=2`, for progress.
fn list(parameters: &Parameters) -> String {
    parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect()
}

/// Bytes of the files in a folder and in those in it.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_sets_is_not_swept() {
        for contender in Contender::every_kind(Metric::L2) {
            let sets = parameter_sets(&contender);
            assert_eq!(sets[0], Parameters::new());
            let Some((name, _)) = sets.iter().flatten().next() else { continue };
            let own = Parameters::from([(name.clone(), "own".to_owned())]);
            let contender = Contender { parameters: own, ..contender };
            let fixed = |set: &Parameters| set.get(name).map(String::as_str) == Some("own");
            assert!(parameter_sets(&contender).iter().all(fixed));
        }
    }
}
