//! Every kind over few rows, of few or many dimensions, for few or too many results: the answer of
//! a plain loop. So few rows are compared one by one by every kind.
#![allow(clippy::unwrap_used)]

mod common;

use common::Random;
use simdex::Metric;
use simdex::index::{KINDS, Kind, Parameters};
use simdex::matrix::Matrix;
use simdex::observe::Silent;
use simdex::search::query::Query;
use simdex::search::rerank::nearest;

/// Rows of which some are equal, some are scaled, and one is tiny.
fn rows(count: usize, dim: usize) -> Vec<f32> {
    let mut random = Random(dim as u64);
    let mut rows: Vec<Vec<f32>> = (0..count).map(|_| random.vector(dim)).collect();
    for row in 3..count {
        match row % 4 {
            0 => rows[row] = rows[row - 3].clone(),
            1 => rows[row] = rows[row - 2].iter().map(|value| value * 16.0).collect(),
            2 => rows[row].iter_mut().for_each(|value| *value *= 1e-20),
            _ => {}
        }
    }
    rows.concat()
}

fn check(kind: &dyn Kind, vectors: &Matrix, metric: Metric) {
    let parameters = Parameters::new();
    let sections = kind.build(vectors, metric, &parameters, &Silent).unwrap();
    let index = kind.open(vectors.clone(), metric, &parameters, &sections).unwrap();
    let (n, dim) = (vectors.rows(), vectors.dim());
    let all: Vec<u32> = (0..n as u32).collect();
    let queries: Vec<Query> = [rows(1, dim), rows(2, dim)[dim..].to_vec(), vec![-0.25; dim]]
        .iter()
        .map(|values| Query::from_f32(values, metric).unwrap())
        .collect();
    for k in [0, 1, 2, n, n + 5, usize::MAX] {
        let together = index.candidates_batch(&queries, k, None, &Silent).unwrap();
        let scored = index.nearest_batch(&queries, vectors, k, None, &Silent).unwrap();
        for ((query, together), mut scored) in queries.iter().zip(together).zip(scored) {
            let expected = nearest(query, vectors, &all, k);
            assert_eq!(scored, nearest(query, vectors, &together, usize::MAX), "{}", kind.name());
            scored.truncate(k);
            assert_eq!(scored.len(), expected.len(), "{}", kind.name());
            for found in [index.candidates(query, k, None, &Silent).unwrap(), together] {
                let found = nearest(query, vectors, &found, k);
                let scores = |found: &[simdex::types::Neighbor]| -> Vec<f64> {
                    found.iter().map(|neighbor| neighbor.score).collect()
                };
                let case = format!("{} {metric} {n} × {dim}, k = {k}", kind.name());
                assert_eq!(scores(&found), scores(&expected), "{case}");
            }
        }
    }
}

#[test]
fn every_kind_over_few_rows() {
    for kind in KINDS {
        for metric in Metric::ALL {
            for dim in [1, 3, 17, 4096] {
                for count in [0, 1, 2, 3, 33] {
                    let vectors = Matrix::from_slice(&rows(count, dim), dim).unwrap();
                    check(*kind, &vectors, metric);
                }
            }
        }
    }
}
