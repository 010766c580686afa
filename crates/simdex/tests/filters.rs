//! Searches among some of the rows: every kind against a plain loop, whatever the filter and the
//! query have to do with each other.
#![allow(clippy::unwrap_used)]

mod common;

use common::Random;
use fixedbitset::FixedBitSet;
use simdex::Metric;
use simdex::index::{Index, KINDS, Parameters};
use simdex::matrix::Matrix;
use simdex::observe::Silent;
use simdex::search::query::Query;
use simdex::search::score::exact_score;

const ROWS: usize = 8000;
const DIM: usize = 16;
const QUERIES: usize = 25;
const K: usize = 10;

/// How the rows that are allowed lie to the query.
#[derive(Debug, Clone, Copy)]
enum Relation {
    /// Anywhere.
    None,
    /// They are the nearest.
    Near,
    /// They are the farthest.
    Far,
    /// They are all near one another, the query anywhere.
    Elsewhere,
}

const RELATIONS: [Relation; 4] =
    [Relation::None, Relation::Near, Relation::Far, Relation::Elsewhere];

fn rows(count: usize) -> Vec<f32> {
    let mut random = Random(31);
    let centres: Vec<Vec<f32>> = (0..50).map(|_| random.vector(DIM)).collect();
    let row = |_| {
        let centre = &centres[random.below(50) as usize];
        let noise = random.vector(DIM);
        centre.iter().zip(noise).map(|(c, n)| c + 0.7 * n).collect::<Vec<f32>>()
    };
    (0..count).flat_map(row).collect()
}

/// Row numbers, the closest to `query` first, with their scores.
fn ranked(vectors: &Matrix, query: &Query) -> Vec<(f64, usize)> {
    let score = |row| (exact_score(query, vectors.row(row)), row);
    let mut all: Vec<(f64, usize)> = (0..vectors.rows()).map(score).collect();
    all.sort_by(|a, b| query.metric().closer_first(a.0, b.0));
    all
}

fn allowed(vectors: &Matrix, query: &Query, relation: Relation, count: usize) -> FixedBitSet {
    let mut set = FixedBitSet::with_capacity(ROWS);
    let nearest_to = |query: &Query| ranked(vectors, query).into_iter().map(|(_, row)| row);
    match relation {
        Relation::None => {
            let mut random = Random(count as u64);
            while set.count_ones(..) < count {
                set.insert(random.below(ROWS as u64) as usize);
            }
        }
        Relation::Near => set.extend(nearest_to(query).take(count)),
        Relation::Far => set.extend(nearest_to(query).skip(ROWS - count)),
        Relation::Elsewhere => {
            let other = Query::from_f32(vectors.row(17), query.metric()).unwrap();
            set.extend(nearest_to(&other).take(count));
        }
    }
    set
}

fn queries(metric: Metric) -> Vec<Query> {
    let values = rows(ROWS + QUERIES);
    let fresh = values[ROWS * DIM..].chunks(DIM);
    fresh.map(|values| Query::from_f32(values, metric).unwrap()).collect()
}

fn open_all(vectors: &Matrix, metric: Metric) -> Vec<(&'static str, bool, Box<dyn Index>)> {
    let open = |kind: &&'static dyn simdex::index::Kind| {
        let parameters = Parameters::new();
        let sections = kind.build(vectors, metric, &parameters, &Silent).unwrap();
        let index = kind.open(vectors.clone(), metric, &parameters, &sections).unwrap();
        (kind.name(), index.is_exact(), index)
    };
    KINDS.iter().map(open).collect()
}

/// As many rows as match come back, all of them among the allowed, and nearly all of the nearest.
#[test]
fn whatever_the_filter_k_rows_and_the_recall() {
    let metric = Metric::Cosine;
    let vectors = Matrix::from_slice(&rows(ROWS), DIM).unwrap();
    let queries = queries(metric);
    for (name, exact, index) in open_all(&vectors, metric) {
        for relation in RELATIONS {
            for count in [0, 1, 8, 80, 800, 4000, 7200, 8000] {
                let (mut wanted, mut found) = (0, 0);
                for query in &queries {
                    let allowed = allowed(&vectors, query, relation, count);
                    let rows = index.candidates(query, K, Some(&allowed), &Silent).unwrap();
                    let case = format!("{name} {relation:?} {count}");
                    assert!(rows.len() >= K.min(count), "{case}: {}", rows.len());
                    assert!(rows.iter().all(|&row| allowed.contains(row as usize)), "{case}");
                    let mut scores: Vec<f64> =
                        allowed.ones().map(|row| exact_score(query, vectors.row(row))).collect();
                    scores.sort_by(|a, b| metric.closer_first(*a, *b));
                    scores.truncate(K);
                    let Some(&last) = scores.last() else { continue };
                    let good = |row: &&u32| exact_score(query, vectors.row(**row as usize)) >= last;
                    found += rows.iter().filter(good).count().min(K);
                    wanted += scores.len();
                }
                let least = if exact || count == 0 { wanted } else { wanted * 93 / 100 };
                assert!(found >= least, "{name} {relation:?} {count}: {found} of {wanted}");
            }
        }
    }
}
