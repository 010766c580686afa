//! Rows to check plugins with: the same every time, in clusters, as embeddings are.

use crate::error::Result;
use crate::matrix::Matrix;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::types::Metric;

/// Dimensions of the rows.
pub(super) const DIM: usize = 24;

/// Numbers of clusters.
const CLUSTERS: usize = 40;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Roughly normal: the sum of four uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0).sum()
    }

    fn vector(&mut self, size: f32) -> Vec<f32> {
        (0..DIM).map(|_| self.normal() * size).collect()
    }
}

/// `rows` vectors that depend on `seed`, row-major. Rows of different seeds share their clusters.
pub(super) fn vectors(rows: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(1);
    let centres: Vec<_> = (0..CLUSTERS).map(|_| random.vector(1.0)).collect();
    let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mut values = Vec::with_capacity(rows * DIM);
    for _ in 0..rows {
        let centre = &centres[random.next() as usize % CLUSTERS];
        values.extend(random.vector(0.4).iter().zip(centre).map(|(near, centre)| near + centre));
    }
    values
}

/// The rows that an index ought to hold.
#[derive(Debug, Clone)]
pub(super) struct Model {
    rows: Vec<(u32, Vec<f32>)>,
    metric: Metric,
}

impl Model {
    /// Rows numbered from 0.
    pub(super) fn new(values: &[f32], metric: Metric) -> Self {
        let rows = (0_u32..).zip(values.chunks(DIM).map(<[f32]>::to_vec)).collect();
        Self { rows, metric }
    }

    /// Forgets a row.
    pub(super) fn delete(&mut self, number: u32) {
        self.rows.retain(|(known, _)| *known != number);
    }

    /// Adds a row, or replaces the one of this number.
    pub(super) fn put(&mut self, number: u32, vector: &[f32]) {
        self.delete(number);
        self.rows.push((number, vector.to_vec()));
    }

    /// Whether it has a row of this number.
    pub(super) fn has(&self, number: u32) -> bool {
        self.rows.iter().any(|(known, _)| *known == number)
    }

    /// The same with only the rows that pass.
    pub(super) fn only(&self, passes: impl Fn(u32) -> bool) -> Self {
        let rows = self.rows.iter().filter(|(number, _)| passes(*number)).cloned().collect();
        Self { rows, metric: self.metric }
    }

    /// Of the `k` nearest rows to each query, the share that is in its answer.
    ///
    /// # Errors
    /// None that these queries cause.
    pub(super) fn recall(&self, queries: &[f32], k: usize, answers: &[Vec<u32>]) -> Result<f64> {
        let (mut wanted, mut found) = (0, 0);
        for (query, answer) in queries.chunks(DIM).zip(answers) {
            let query = Query::from_f32(query, self.metric)?;
            let mut scored: Vec<_> =
                self.rows.iter().map(|(n, vector)| (exact_score(&query, vector), *n)).collect();
            scored.sort_by(|a, b| self.metric.closer_first(a.0, b.0));
            scored.truncate(k);
            wanted += scored.len();
            found += scored.iter().filter(|(_, number)| answer.contains(number)).count();
        }
        Ok(if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 })
    }
}

/// `Matrix` of [`vectors`].
///
/// # Errors
/// None for these sizes.
pub(super) fn matrix(values: &[f32]) -> Result<Matrix> {
    Matrix::from_slice(values, DIM)
}
