//! Every metric as squared Euclidean distance: what the graph is built and walked in.

use std::ops::RangeInclusive;

use crate::matrix::Matrix;
use crate::types::Metric;

/// Maps rows and queries to points whose squared distance orders rows as the metric does.
///
/// - `L2`: as they are.
/// - `Cosine`: scaled to length 1.
/// - `Dot`: a further dimension brings every row to a length that none exceeds, and is zero
///   for queries, which are scaled to that length (Bachrach et al. 2014, "Speeding up the Xbox
///   recommender system"): ‖q − x‖² = 2·(radius² − ⟨q, x⟩).
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    metric: Metric,
    dim: usize,
    /// At least the length of the longest row; only for `Dot`.
    radius: f64,
}

impl Space {
    /// The space of `vectors`. O(rows · dim) for `Dot`, else O(1).
    pub(super) fn of(vectors: &Matrix, metric: Metric) -> Self {
        let longest = || {
            let rows = vectors.values().chunks_exact(vectors.dim());
            rows.map(squared_norm).fold(0.0, f64::max).sqrt()
        };
        let radius = if metric == Metric::Dot { longest() } else { 0.0 };
        Self::new(vectors.dim(), metric, radius)
    }

    pub(super) fn new(dim: usize, metric: Metric, radius: f64) -> Self {
        Self { metric, dim, radius }
    }

    /// Whether the longest of `vectors` has a length among these shares of this space's radius:
    /// longer rows have no point, and among much shorter ones the further dimension is all that
    /// tells. O(rows · dim) for `Dot`; the others have no radius.
    pub(super) fn suits(&self, vectors: &Matrix, shares: RangeInclusive<f64>) -> bool {
        let longest = Self::of(vectors, self.metric).radius;
        // What is written of a number with a fraction may not be read as the very same.
        let slack = 1.0 + 1e-12;
        let shortest = shares.start() * self.radius;
        (shortest..=shares.end() * self.radius * slack).contains(&longest)
    }

    pub(super) fn radius(&self) -> f64 {
        self.radius
    }

    /// Dimensions of a point.
    pub(super) fn point_dim(&self) -> usize {
        self.dim + usize::from(self.metric == Metric::Dot)
    }

    /// Writes the point of `row` into `point`, which has [`Space::point_dim`] places.
    pub(super) fn row(&self, row: &[f32], point: &mut [f32]) {
        match self.metric {
            Metric::L2 => scale_into(row, 1.0, point),
            Metric::Cosine => scale_into(row, reciprocal(squared_norm(row).sqrt()), point),
            Metric::Dot => {
                scale_into(row, 1.0, point);
                if let Some(last) = point.last_mut() {
                    *last = (self.radius * self.radius - squared_norm(row)).max(0.0).sqrt() as f32;
                }
            }
        }
    }

    /// Writes the point of `query` into `point`.
    pub(super) fn query(&self, query: &[f32], point: &mut [f32]) {
        let factor = match self.metric {
            Metric::L2 => 1.0,
            Metric::Cosine => reciprocal(squared_norm(query).sqrt()),
            Metric::Dot => self.radius * reciprocal(squared_norm(query).sqrt()),
        };
        point.fill(0.0);
        scale_into(query, factor, point);
    }

    /// Makes of the point of a row that of a query which asks for rows like it.
    pub(super) fn turn_into_query(&self, point: &mut [f32]) {
        if self.metric == Metric::Dot && self.dim < point.len() {
            let row = point[..self.dim].to_vec();
            self.query(&row, point);
        }
    }

    /// The points of all rows, row-major; `None` when they are the rows themselves.
    pub(super) fn points(&self, vectors: &Matrix) -> Option<Vec<f32>> {
        use rayon::prelude::*;
        let dim = vectors.dim();
        let same = match self.metric {
            Metric::L2 => true,
            Metric::Cosine => vectors
                .values()
                .par_chunks_exact(dim)
                .all(|row| (squared_norm(row) - 1.0).abs() < UNIT_TOLERANCE),
            Metric::Dot => false,
        };
        (!same).then(|| {
            let mut points = vec![0.0; vectors.rows() * self.point_dim()];
            let rows = vectors.values().par_chunks_exact(dim);
            points
                .par_chunks_exact_mut(self.point_dim())
                .zip(rows)
                .for_each(|(point, row)| self.row(row, point));
            points
        })
    }
}

/// Rows whose squared length is nearer to 1 than this are taken as unit vectors (16-bit floats
/// widened to 32 bits are).
const UNIT_TOLERANCE: f64 = 2e-3;

/// ‖row‖² in float64.
pub(super) fn squared_norm(row: &[f32]) -> f64 {
    row.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}

/// 1 / value, or 0 for what has no usable reciprocal.
fn reciprocal(value: f64) -> f64 {
    if value > 0.0 { 1.0 / value } else { 0.0 }
}

/// `out[i]` = `values[i]` · factor, in float64 before rounding.
fn scale_into(values: &[f32], factor: f64, out: &mut [f32]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = (f64::from(value) * factor) as f32;
    }
}
