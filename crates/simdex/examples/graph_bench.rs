//! Recall against speed of the `graph` kind, on vectors in `.npy` files.
//!
//! `graph_bench PREFIX [SETTING=VALUE …] [sweep=margin] [values=0.1,0.2,…] [metric=l2] [threads=2] [one=yes] [keep=FOLDER]` reads
//! `PREFIX-base.npy`, `PREFIX-q.npy` (float32, row-major) and `PREFIX-gt.npy` (int32: the exact
//! nearest rows, nearest first), and searches with one thread, exact scores included. `one` asks one query at a
//! time instead of in batches; `keep` writes what was built to a folder, or takes it from there.
#![allow(clippy::print_stdout)]

mod npy;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use simdex::Metric;
use simdex::index::{Sections, kind};
use simdex::matrix::Slab;
use simdex::observe::Silent;
use simdex::search::query::Query;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let prefix = arguments.next().ok_or("usage: graph_bench PREFIX [SETTING=VALUE …]")?;
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or("settings are NAME=VALUE")?;
        settings.insert(name.into(), value.into());
    }
    let mut take = |name: &str, default: &str| settings.remove(name).unwrap_or(default.into());
    let metric: Metric = take("metric", "cosine").parse()?;
    let k: usize = take("k", "10").parse()?;
    let threads = take("threads", "2").parse()?;
    let rounds: usize = take("rounds", "3").parse()?;
    let keep = take("keep", "");
    let one = take("one", "no") == "yes";
    let sweep = take("sweep", "margin");
    let values = take(
        "values",
        "0.005,0.01,0.02,0.03,0.04,0.05,0.06,0.08,0.1,0.12,0.14,0.17,0.2,0.25,0.3,0.4",
    );
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;

    let vectors = npy::rows(&format!("{prefix}-base.npy"))?;
    let (queries, dim) = npy::floats(&format!("{prefix}-q.npy"))?;
    let queries = queries
        .chunks_exact(dim)
        .map(|query| Query::from_f32(query, metric))
        .collect::<simdex::Result<Vec<_>>>()?;
    let (truth, depth) = npy::numbers(&format!("{prefix}-gt.npy"))?;
    let truth: Vec<u32> = truth.into_iter().map(|row| row as u32).collect();

    let graph = kind("graph")?;
    let (start, start_busy) = (Instant::now(), busy_threads());
    let kept = kept(Path::new(&keep))?;
    let sections = match kept.is_empty() {
        true => graph.build(&vectors, metric, &settings, &Silent)?,
        false => kept,
    };
    for (name, section) in sections.iter().filter(|_| !keep.is_empty()) {
        std::fs::create_dir_all(&keep)?;
        std::fs::write(Path::new(&keep).join(name), &section[..])?;
    }
    let bytes: usize = sections.values().map(|section| section.len()).sum();
    let share = bytes as f64 / size_of_val(vectors.values()) as f64;
    let (wall, busy_build) = (start.elapsed().as_secs_f64(), busy_threads() - start_busy);
    println!("{prefix} {settings:?}");
    println!("build {wall:.2} s, {busy_build:.2} s of processors; {share:.3} of float32");
    let start = Instant::now();
    let index = graph.open(vectors.clone(), metric, &settings, &sections)?;
    println!("open {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    for (name, value) in index.facts() {
        println!("{name}: {value}");
    }
    let mut curve = Vec::new();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    for value in values.split(',') {
        settings.insert(sweep.clone(), value.into());
        let index = graph.open(vectors.clone(), metric, &settings, &sections)?;
        let (mut best, mut found) = (f64::MAX, Vec::new());
        for _ in 0..rounds {
            let seconds = alone.install(|| -> simdex::Result<f64> {
                let start = busy();
                for _ in 0..TOGETHER {
                    found = match one {
                        false => index.nearest_batch(&queries, &vectors, k, None, &Silent)?,
                        true => {
                            let mut found = Vec::new();
                            for query in &queries {
                                let one = std::slice::from_ref(query);
                                found.extend(index.nearest_batch(one, &vectors, k, None, &Silent)?);
                            }
                            found
                        }
                    };
                }
                Ok(busy() - start)
            })?;
            best = best.min(seconds / f64::from(TOGETHER));
        }
        let hits: usize = found
            .iter()
            .zip(truth.chunks_exact(depth))
            .map(|(rows, truth)| {
                let found = &rows[..rows.len().min(k)];
                truth[..k].iter().filter(|&&row| found.iter().any(|near| near.row == row)).count()
            })
            .sum();
        let recall = hits as f64 / (found.len() * k) as f64;
        curve.push((recall, queries.len() as f64 / best));
        println!(
            "{sweep} {value:>5}  recall {recall:.4}  {:>8.0} q/s",
            queries.len() as f64 / best
        );
        if recall > 0.9955 {
            break;
        }
    }
    for target in [0.9, 0.95, 0.97, 0.99] {
        for pair in curve.windows(2) {
            let ((r0, s0), (r1, s1)) = (pair[0], pair[1]);
            if r0 < target && target <= r1 {
                let share = (target - r0) / (r1 - r0);
                println!("@{target}: {:.0} q/s", 1.0 / ((1.0 - share) / s0 + share / s1));
            }
        }
    }
    Ok(())
}

/// How many passes over the queries are timed as one: the system counts a thread's time in steps
/// of milliseconds.
const TOGETHER: u32 = 4;

/// The sections in a folder; none where there is no folder.
fn kept(folder: &Path) -> Result<Sections> {
    let mut sections = Sections::new();
    for file in std::fs::read_dir(folder).into_iter().flatten() {
        let file = file?;
        let bytes = Slab::from_slice(&std::fs::read(file.path())?);
        sections.insert(file.file_name().to_string_lossy().into_owned(), bytes);
    }
    Ok(sections)
}

/// Seconds that this thread computed, where Linux tells, else of the wall clock: other programs
/// slow the latter.
fn busy() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.elapsed().as_secs_f64(), |value| value / 1e9)
}

/// Seconds that all threads computed, where Linux tells, else 0.
fn busy_threads() -> f64 {
    let told = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = told.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
