//! Times searches among some of the rows: `cargo run --release --example filter_figures --
//! BASE.npy QUERIES.npy [recall [kind]]`, arrays of little-endian float16 or float32, row-major.
#![allow(clippy::print_stdout)]

mod npy;

use std::error::Error;
use std::time::Instant;

use fixedbitset::FixedBitSet;
use simdex::Metric;
use simdex::index::{Parameters, kind};
use simdex::matrix::Matrix;
use simdex::observe::Silent;
use simdex::search::query::Query;
use simdex::search::score::exact_score;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const K: usize = 10;
const SHARES: [f64; 7] = [0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9];
const METRIC: Metric = Metric::Cosine;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, queries, rest @ ..] = arguments.as_slice() else {
        println!("give BASE.npy and QUERIES.npy");
        return Ok(());
    };
    let recall = rest.first().map_or("0.95", String::as_str);
    let (base, queries) = (npy::rows(base)?, npy::rows(queries)?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let queries: Vec<Query> = (0..queries.rows().min(50))
        .map(|row| Query::from_f32(queries.row(row), METRIC))
        .collect::<simdex::Result<_>>()?;
    println!("{} × {}, {} queries, µs a query (recall)", base.rows(), base.dim(), queries.len());
    let only = rest.get(1);
    for (name, set) in [("flat", None), ("graph", Some(("recall", recall)))] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let kind = kind(name)?;
        let set: Parameters = set.map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter().collect();
        let sections = kind.build(&base, METRIC, &set, &Silent)?;
        let index = kind.open(base.clone(), METRIC, &set, &sections)?;
        for relation in ["any", "near", "far"] {
            print!("{name:>6} {relation:>5}");
            for share in SHARES {
                let filters: Vec<FixedBitSet> =
                    queries.iter().map(|query| filter(&base, query, relation, share)).collect();
                let (mut micros, mut hits, mut wanted) = (f64::INFINITY, 0, 0);
                for _ in 0..3 {
                    let start = Instant::now();
                    let search = |(query, set)| index.candidates(query, K, Some(set), &Silent);
                    let pairs = queries.iter().zip(&filters);
                    let found: Vec<Vec<u32>> =
                        pool.install(|| pairs.map(search).collect::<simdex::Result<_>>())?;
                    micros = micros.min(start.elapsed().as_secs_f64() * 1e6 / queries.len() as f64);
                    (hits, wanted) = score(&base, &queries, &filters, &found);
                }
                print!("  {share}: {micros:.0} ({:.3})", hits as f64 / wanted as f64);
            }
            println!();
        }
    }
    Ok(())
}

fn filter(base: &Matrix, query: &Query, relation: &str, share: f64) -> FixedBitSet {
    let count = (base.rows() as f64 * share) as usize;
    let mut set = FixedBitSet::with_capacity(base.rows());
    if relation == "any" {
        let step = 0x9e37_79b9_u64;
        set.extend((0..count as u64).map(|i| (i * step % base.rows() as u64) as usize));
        return set;
    }
    let dot = |row: usize| {
        let pairs = base.row(row).iter().zip(query.rounded());
        pairs.map(|(a, b)| a * b).sum::<f32>()
    };
    let mut rows: Vec<(f32, usize)> = (0..base.rows()).map(|row| (dot(row), row)).collect();
    let nearest_first = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0);
    let farthest_first = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0);
    match relation {
        "near" => rows.select_nth_unstable_by(count.min(base.rows() - 1), nearest_first),
        _ => rows.select_nth_unstable_by(count.min(base.rows() - 1), farthest_first),
    };
    set.extend(rows.into_iter().take(count).map(|(_, row)| row));
    set
}

fn score(
    base: &Matrix,
    queries: &[Query],
    filters: &[FixedBitSet],
    found: &[Vec<u32>],
) -> (usize, usize) {
    let mut total = (0, 0);
    for ((query, set), found) in queries.iter().zip(filters).zip(found) {
        let score = |row: usize| exact_score(query, base.row(row));
        let mut scores: Vec<f64> = set.ones().map(score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.truncate(K);
        let last = scores.last().copied().unwrap_or(f64::INFINITY);
        let hits = found.iter().filter(|&&row| score(row as usize) >= last).count().min(K);
        total = (total.0 + hits, total.1 + scores.len());
    }
    total
}
