//! A graph that takes changes in, cycle by cycle, against one that is built anew of the same rows.
//!
//! `graph_churn BASE.npy QUERIES.npy [SETTING=VALUE …]` keeps three quarters of the rows; in each
//! cycle some leave and as many come. Prints what taking in and building cost, and the recall and
//! queries/s (one thread, batches, exact scores included) of both. Settings:
//!
//! - `share=0.2`: how many leave in each of `cycles=10`
//! - `order=random`: which do; with `drift` those farthest along a direction leave, and those least
//!   far along it come
//! - `sweep=recall values=0.9,0.95,0.99`: the parameter that searches are measured at
//! - `metric=cosine`, `threads=2`
#![allow(clippy::print_stdout)]

mod npy;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use simdex::Metric;
use simdex::index::{Job, Parameters, Previous, Sections, kind};
use simdex::matrix::Matrix;
use simdex::observe::Silent;
use simdex::search::query::Query;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const K: usize = 10;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: graph_churn BASE.npy QUERIES.npy [SETTING=VALUE …]";
    let (Some(base), Some(queries)) = (arguments.next(), arguments.next()) else {
        return Err(usage.into());
    };
    let mut set: BTreeMap<String, String> = BTreeMap::new();
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or(usage)?;
        set.insert(name.into(), value.into());
    }
    let mut take = |name: &str, default: &str| set.remove(name).unwrap_or(default.into());
    let share: f64 = take("share", "0.2").parse()?;
    let cycles: usize = take("cycles", "10").parse()?;
    let metric: Metric = take("metric", "cosine").parse()?;
    let drifts = take("order", "random") == "drift";
    let sweep = Sweep { name: take("sweep", "recall"), values: take("values", "0.9,0.95,0.99") };
    rayon::ThreadPoolBuilder::new().num_threads(take("threads", "2").parse()?).build_global()?;

    let all = npy::rows(&base)?;
    let queries = npy::rows(&queries)?;
    let queries: Vec<Query> = (0..queries.rows())
        .map(|row| Query::from_f32(queries.row(row), metric))
        .collect::<simdex::Result<_>>()?;
    let mut random = fastrand::Rng::with_seed(7);
    let mut absent: Vec<u32> = (0..all.rows() as u32).collect();
    random.shuffle(&mut absent);
    if drifts {
        let along = |row: &u32| {
            let values = all.row(*row as usize).iter().zip(all.row(0));
            values.map(|(a, b)| a * b).sum::<f32>()
        };
        absent.sort_by(|a, b| along(a).total_cmp(&along(b)));
    }
    let mut there = absent.split_off(all.rows() / 4);
    let graph = kind("graph")?;
    let none = Parameters::new();
    let mut sections = graph.build(&pick(&all, &there)?, metric, &none, &Silent)?;
    for cycle in 1..=cycles {
        let before: BTreeMap<u32, u32> = there.iter().copied().zip(0..).collect();
        let rows = there.len();
        let count = ((rows as f64 * share) as usize).min(absent.len());
        if !drifts {
            random.shuffle(&mut there);
        }
        let leaving = there.split_off(rows - count);
        there.extend(absent.drain(..count));
        absent.extend(leaving);
        // The last are the next to leave.
        there.rotate_right(count);
        let vectors = pick(&all, &there)?;
        let same: Vec<Option<u32>> = there.iter().map(|row| before.get(row).copied()).collect();
        let job = Job { vectors: &vectors, metric, parameters: &none, folder: None, name: None };
        let previous = Previous { sections: &sections, folder: None, rows, same: &same };
        let start = Instant::now();
        let updated = graph.update_in(&job, &previous, &Silent)?;
        let took = start.elapsed().as_secs_f64();
        let taken_in = updated.is_some();
        sections = match updated {
            Some(sections) => sections,
            None => graph.build(&vectors, metric, &none, &Silent)?,
        };
        let how = if taken_in { "taken in" } else { "built anew" };
        println!("cycle {cycle}: {count} of {rows} rows, {how}: {took:.2} s");
        if cycle == 1 || cycle == cycles || cycle == cycles / 2 {
            let start = Instant::now();
            let fresh = graph.build(&vectors, metric, &none, &Silent)?;
            println!("  a build: {:.2} s", start.elapsed().as_secs_f64());
            let truth = truth(&vectors, metric, &queries)?;
            let task = Task { vectors: &vectors, metric, queries: &queries, truth: &truth };
            // Twice in turns: other programs slow one or the other.
            for (name, sections) in [("fresh", &fresh), ("worn", &sections)].repeat(2) {
                println!("  {name}:{}", task.measure(sections, &sweep)?);
            }
        }
    }
    Ok(())
}

fn pick(all: &Matrix, rows: &[u32]) -> Result<Matrix> {
    let values: Vec<f32> = rows.iter().flat_map(|&row| all.row(row as usize)).copied().collect();
    Ok(Matrix::from_slice(&values, all.dim())?)
}

fn truth(vectors: &Matrix, metric: Metric, queries: &[Query]) -> Result<Vec<Vec<u32>>> {
    let (flat, none) = (kind("flat")?, Parameters::new());
    let sections = flat.build(vectors, metric, &none, &Silent)?;
    let index = flat.open(vectors.clone(), metric, &none, &sections)?;
    let found = index.nearest_batch(queries, vectors, K, None, &Silent)?;
    Ok(found.into_iter().map(|rows| rows.iter().take(K).map(|near| near.row).collect()).collect())
}

/// A parameter of searches.
struct Sweep {
    name: String,
    /// With commas between.
    values: String,
}

/// What is searched, and what should be found.
struct Task<'a> {
    vectors: &'a Matrix,
    metric: Metric,
    queries: &'a [Query],
    truth: &'a [Vec<u32>],
}

impl Task<'_> {
    fn measure(&self, sections: &Sections, sweep: &Sweep) -> Result<String> {
        let Self { vectors, metric, queries, truth } = *self;
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        let mut line = String::new();
        for value in sweep.values.split(',') {
            let set: Parameters = [(sweep.name.clone(), value.to_owned())].into();
            let index = kind("graph")?.open(vectors.clone(), metric, &set, sections)?;
            let (mut best, mut recall) = (f64::INFINITY, 0.0);
            for _ in 0..5 {
                let start = Instant::now();
                let found =
                    alone.install(|| index.nearest_batch(queries, vectors, K, None, &Silent))?;
                best = best.min(start.elapsed().as_secs_f64());
                let hits = found.iter().zip(truth).map(|(found, truth)| {
                    let found = &found[..found.len().min(K)];
                    truth.iter().filter(|&&row| found.iter().any(|near| near.row == row)).count()
                });
                recall = hits.sum::<usize>() as f64 / (queries.len() * K) as f64;
            }
            let speed = queries.len() as f64 / best;
            line += &format!("  {value}: {recall:.4} {speed:.0} q/s");
        }
        Ok(line)
    }
}
