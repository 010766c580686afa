//! Times exact search on one's own vectors and prints ratios to one reading of them from memory.
//!
//! `cargo run --release --example flat_figures -- BASE.npy QUERIES.npy [--threads N] [--metric M]`
//!
//! Arrays are little-endian float16 or float32, row-major, of two dimensions. With `gaussian` or
//! `duplicates` in place of BASE.npy, and a number of dimensions in place of QUERIES.npy, made-up
//! vectors are used.
#![allow(clippy::print_stdout)]

mod npy;

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use simdex::kernels::Kernels;
use simdex::{Flat, Metric};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const K: usize = 10;

/// Rows × dim values.
struct Array {
    values: Vec<f32>,
    dim: usize,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let threads = option("--threads").unwrap_or("1").parse()?;
    let metric: Metric = option("--metric").unwrap_or("cosine").parse()?;
    let [base, queries, ..] = arguments.as_slice() else {
        println!("give BASE.npy and QUERIES.npy, or gaussian|duplicates and dimensions");
        return Ok(());
    };
    let (base, queries) = match base.as_str() {
        "gaussian" | "duplicates" => made_up(base, queries.parse()?),
        _ => (read_npy(base)?, read_npy(queries)?),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| measure(&base, &queries, metric))
}

fn measure(base: &Array, queries: &Array, metric: Metric) -> Result<()> {
    let read = best_of(9, || read_once(&base.values));
    println!("{} × {}, {metric}, k = {K}", base.values.len() / base.dim, base.dim);
    println!("reading the vectors once: {:.3} ms", read * 1e3);
    for kernels in Kernels::available() {
        scan(kernels, base, queries, read);
    }
    let started = Instant::now();
    let mut index = Flat::build(&base.values, base.dim, metric)?;
    println!("build: {:.2} s; {:?}", started.elapsed().as_secs_f64(), index.facts());
    for kernels in Kernels::available() {
        index = index.with_kernels(kernels);
        search(kernels, &index, queries, read)?;
    }
    Ok(())
}

/// The kernel alone.
fn scan(kernels: Kernels, base: &Array, queries: &Array, read: f64) {
    let block = (32 * 1024 / base.dim).max(4) / 4 * 4;
    let mut out = vec![0.0; block];
    let seconds = best_of(9, || {
        for rows in base.values.chunks(block * base.dim) {
            kernels.dot_rows(&queries.values[..base.dim], rows, &mut out);
            black_box(&mut out);
        }
    });
    println!("{:>8} dot_rows: {:.2} × reading", kernels.name(), seconds / read);
}

/// Whole searches.
fn search(kernels: Kernels, index: &Flat, queries: &Array, read: f64) -> Result<()> {
    let some: Vec<&[f32]> = queries.values.chunks(queries.dim).take(100).collect();
    for query in &some {
        index.search(query, K)?;
    }
    let mut seconds: Vec<f64> = Vec::new();
    for query in &some {
        let started = Instant::now();
        black_box(index.search(query, K)?);
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (least, median) = (seconds[0], seconds[seconds.len() / 2]);
    println!(
        "{:>8} one query: least {:.3} ms, median {:.3} ms = {:.2} × reading",
        kernels.name(),
        least * 1e3,
        median * 1e3,
        median / read
    );
    let count = queries.values.len() / queries.dim;
    let batch = best_of(2, || index.search_batch(&queries.values, K));
    println!("{:>8} batch of {count}: {:.0} queries/s", kernels.name(), count as f64 / batch);
    Ok(())
}

/// Seconds of the fastest of `times` runs.
fn best_of<T>(times: usize, mut run: impl FnMut() -> T) -> f64 {
    let one = |_| {
        let started = Instant::now();
        black_box(run());
        started.elapsed().as_secs_f64()
    };
    (0..times).map(one).fold(f64::INFINITY, f64::min)
}

/// Touches every value with as little arithmetic as can be.
fn read_once(values: &[f32]) -> u32 {
    let mut sums = [0u32; 32];
    for chunk in values.chunks_exact(32) {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum ^= value.to_bits();
        }
    }
    sums.iter().fold(0, |a, b| a ^ b)
}

fn read_npy(path: &str) -> Result<Array> {
    let (values, dim) = npy::floats(path)?;
    Ok(Array { values, dim })
}

/// 100,000 or fewer rows of a normal distribution; of `duplicates`, 30 % repeat earlier rows.
fn made_up(kind: &str, dim: usize) -> (Array, Array) {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let mut normal =
        |n: usize| -> Vec<f32> { (0..n).map(|_| (0..4).map(|_| next()).sum::<f32>()).collect() };
    let rows = (100_000 * 384 / dim).min(100_000);
    let mut values = normal(rows * dim);
    if kind == "duplicates" {
        for row in (0..rows).filter(|row| row % 10 < 3 && *row > 10) {
            values.copy_within((row / 2) * dim..(row / 2 + 1) * dim, row * dim);
        }
    }
    (Array { values, dim }, Array { values: normal(500 * dim), dim })
}
