//! Ranking rows by their float32 values.

use crate::kernels::Kernels;
use crate::kernels::prefetch::prefetch;
use crate::matrix::Matrix;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::types::Metric;

/// How many rows ahead of the ranking their values are asked for.
const AHEAD: usize = 4;

/// Measures rows under a metric, closer is lower.
#[derive(Debug, Clone)]
pub(super) struct Ranker {
    pub(super) vectors: Matrix,
    pub(super) metric: Metric,
    pub(super) kernels: Kernels,
}

impl Ranker {
    /// The `k` of `rows` closest to `query` and all that may tie with them but for rounding,
    /// without repeats; numbers that are no row are left out. O(rows · dim).
    pub(super) fn closest(&self, query: &Query, k: usize, rows: &[u32]) -> Vec<u32> {
        let mut scored: Vec<(f32, u32)> = Vec::with_capacity(rows.len());
        for (at, &row) in rows.iter().enumerate() {
            if let Some(ahead) = rows.get(at + AHEAD).and_then(|&row| self.row(row)) {
                prefetch(ahead);
            }
            if let Some(values) = self.row(row) {
                scored.push((self.distance(query, values), row));
            }
        }
        scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        scored.dedup_by_key(|&mut (_, row)| row);
        let keep = match scored.get(k.wrapping_sub(1)) {
            _ if k == 0 => 0,
            Some(&(last, _)) => {
                let limit = last + ROUNDING * last.abs().max(f32::MIN_POSITIVE);
                k + scored[k..].iter().take_while(|(distance, _)| *distance <= limit).count()
            }
            None => scored.len(),
        };
        scored.into_iter().take(keep).map(|(_, row)| row).collect()
    }

    fn row(&self, row: u32) -> Option<&[f32]> {
        ((row as usize) < self.vectors.rows()).then(|| self.vectors.row(row as usize))
    }

    fn distance(&self, query: &Query, row: &[f32]) -> f32 {
        let (kernels, values) = (self.kernels, query.rounded());
        match self.metric {
            Metric::L2 => kernels.squared_l2(values, row),
            Metric::Dot => -kernels.dot(values, row),
            Metric::Cosine => match kernels.dot(row, row) {
                norm if ORDINARY.contains(&norm) => -kernels.dot(values, row) / norm.sqrt(),
                // Squares of such values overflow float32, or lose digits at its lower end.
                _ => -(exact_score(query, row) * query.norm()) as f32,
            },
        }
    }
}

/// Squared lengths that float32 holds with all its digits, and those of the parts of a row.
const ORDINARY: std::ops::Range<f32> = 1e-24..1e30;

/// Relative differences below this may be rounding.
const ROUNDING: f32 = 1e-5;
