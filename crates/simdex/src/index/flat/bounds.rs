//! From a float32 result to an interval that holds the naive float64 score.
//!
//! Scores are compared as *keys*, of which higher is closer: the cosine; the inner product over
//! ‖q‖; the negated squared distance. The intervals rest on the error bound of [`crate::kernels`],
//! which holds for every order of summation, and add the rounding of the query to float32 and of
//! the stored norms. Rows of a size that float32 sums could mangle are scored in float64 instead.

use crate::kernels::Kernels;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::types::Metric;

/// Unit roundoff of float32, 2⁻²⁴.
const UNIT: f64 = 1.0 / (1u64 << 24) as f64;

/// Smallest positive float32, 2⁻¹⁴⁹: the most that gradual underflow loses a product, twice.
const TINY: f64 = 1.401298464324817e-45;

/// Widens a float64 interval by what float64 arithmetic itself may lose, with room to spare.
const WIDER: f64 = 1.0 + 1e-9;

/// Norms within which float32 inner products with a unit vector neither overflow nor lose more
/// than 2⁻⁶⁰ of the norm to underflow.
const SAFE_NORMS: std::ops::RangeInclusive<f64> = 1e-18..=1e30;

/// What is stored of a row for `metric`: 1/‖x‖ for cosine, ‖x‖ rounded up for dot, and NaN where
/// the row must be scored in float64. L2 needs nothing. O(dim).
pub(super) fn norm_factor(metric: Metric, row: &[f32]) -> f32 {
    let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    match metric {
        Metric::Cosine if SAFE_NORMS.contains(&norm) => (1.0 / norm) as f32,
        Metric::Dot if norm <= *SAFE_NORMS.end() => ((norm * WIDER) as f32).next_up(),
        Metric::L2 => 0.0,
        Metric::Cosine | Metric::Dot => f32::NAN,
    }
}

/// The keys a row may have, given what is known of it. Both ends are numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) worst: f64,
    pub(super) best: f64,
}

/// Scores rows in float32 against one query.
pub(super) struct Scorer<'a> {
    kernels: Kernels,
    query: &'a Query,
    /// The unit query for cosine and dot, the query itself for L2.
    rounded: Vec<f32>,
    /// Bound of the relative error of a sum, stored factors included.
    relative: f64,
    /// Bound of the absolute error of a sum.
    absolute: f64,
    /// ‖q − rounded q‖, for L2.
    displaced: f64,
}

impl<'a> Scorer<'a> {
    /// `None` where float32 says nothing of use: a query of extreme length, or millions of
    /// dimensions. Every row is a candidate then.
    pub(super) fn new(kernels: Kernels, query: &'a Query) -> Option<Self> {
        let dim = query.dim() as f64;
        // Room beyond n additions: the query's and the factors' rounding, the gate's arithmetic.
        let steps = dim + 32.0;
        if steps * UNIT > 0.1 {
            return None;
        }
        let relative = steps * UNIT / (1.0 - steps * UNIT) * WIDER;
        let absolute = 4.0 * dim * TINY;
        let (rounded, displaced) = match query.metric() {
            Metric::L2 => {
                let displaced = query.exact().iter().zip(query.rounded());
                let displaced = displaced.map(|(&q, &r)| (q - f64::from(r)).powi(2)).sum::<f64>();
                (query.rounded().to_vec(), displaced.sqrt() * WIDER)
            }
            Metric::Cosine | Metric::Dot => {
                if !(1e-100..=1e100).contains(&query.norm()) {
                    return None;
                }
                let unit = query.exact().iter().map(|&q| (q / query.norm()) as f32);
                (unit.collect(), 0.0)
            }
        };
        Some(Self { kernels, query, rounded, relative, absolute, displaced })
    }

    /// The float32 result for one row.
    pub(super) fn raw(&self, row: &[f32]) -> f32 {
        match self.query.metric() {
            Metric::L2 => self.kernels.squared_l2(&self.rounded, row),
            Metric::Cosine | Metric::Dot => self.kernels.dot(&self.rounded, row),
        }
    }

    /// The float32 results for the rows of `rows` (n × dim, row-major).
    pub(super) fn raw_rows(&self, rows: &[f32], out: &mut [f32]) {
        match self.query.metric() {
            Metric::L2 => self.kernels.squared_l2_rows(&self.rounded, rows, out),
            Metric::Cosine | Metric::Dot => self.kernels.dot_rows(&self.rounded, rows, out),
        }
    }

    /// The keys that `row` may have, given its float32 result and its stored factor.
    pub(super) fn interval(&self, row: &[f32], factor: f32, raw: f32) -> Interval {
        let (raw, factor) = (f64::from(raw), f64::from(factor));
        let (worst, best) = match self.query.metric() {
            Metric::Cosine => {
                let (key, error) = (raw * factor, self.relative + self.absolute * factor);
                (key - error, key + error)
            }
            Metric::Dot => {
                let error = self.relative * factor + self.absolute;
                (raw - error, raw + error)
            }
            Metric::L2 => {
                // An overflowing sum is at least the largest float32; infinity would be too far.
                let near = raw.min(f64::from(f32::MAX)) * (1.0 - self.relative) - self.absolute;
                let near = (near.max(0.0).sqrt() - self.displaced).max(0.0);
                let far = raw * (1.0 + 2.0 * self.relative) + self.absolute;
                let far = far.sqrt() + self.displaced;
                (-far * far * WIDER, -near * near / WIDER)
            }
        };
        if worst.is_nan() || best.is_nan() { self.exact(row) } else { Interval { worst, best } }
    }

    /// The key from float64 arithmetic.
    fn exact(&self, row: &[f32]) -> Interval {
        let score = exact_score(self.query, row);
        let key = match self.query.metric() {
            Metric::Cosine => score,
            Metric::Dot => score / self.query.norm(),
            Metric::L2 => -score,
        };
        if key.is_nan() {
            return Interval { worst: f64::NEG_INFINITY, best: f64::INFINITY };
        }
        let error = key.abs() * (WIDER - 1.0);
        Interval { worst: key - error, best: key + error }
    }

    /// The test that every row with a key of at least `floor` passes.
    pub(super) fn gate(&self, floor: f64) -> Gate {
        let metric = self.query.metric();
        let (limit, slope) = match metric {
            Metric::Cosine => (floor - self.relative - self.absolute * 1e18, 0.0),
            Metric::Dot => (floor - self.absolute, (self.relative as f32).next_up()),
            Metric::L2 => {
                let far = (-floor).max(0.0).sqrt() * WIDER + self.displaced;
                (far * far * (1.0 + 2.0 * self.relative) + self.absolute, 0.0)
            }
        };
        let limit = match metric {
            Metric::L2 if limit * WIDER >= f64::from(f32::MAX) * (1.0 - 2.0 * self.relative) => {
                f32::INFINITY
            }
            Metric::L2 => ((limit * WIDER) as f32).next_up(),
            Metric::Cosine | Metric::Dot => ((limit - limit.abs() * 1e-9) as f32).next_down(),
        };
        Gate { metric, limit, slope }
    }
}

/// A cheap float32 test that no row among the k closest fails.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    metric: Metric,
    limit: f32,
    slope: f32,
}

impl Gate {
    /// Calls `found` with the position of each result that passes. Comparisons are negated so
    /// that NaN passes.
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    pub(super) fn sift(self, raw: &[f32], factors: &[f32], found: impl FnMut(usize)) {
        let Self { limit, slope, .. } = self;
        match self.metric {
            Metric::Cosine => {
                sift(raw.iter().zip(factors).map(|(r, f)| !(r * f < limit)), found);
            }
            Metric::Dot => {
                sift(raw.iter().zip(factors).map(|(r, f)| !(r + slope * f < limit)), found);
            }
            Metric::L2 => sift(raw.iter().map(|r| !(*r > limit)), found),
        }
    }
}

/// Calls `found` with the positions that pass.
fn sift(passes: impl Iterator<Item = bool>, mut found: impl FnMut(usize)) {
    for (position, _) in passes.enumerate().filter(|&(_, passes)| passes) {
        found(position);
    }
}
