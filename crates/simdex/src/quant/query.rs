//! A query prepared for comparison with codes.

use crate::kernels::codes::{self, CodeQuery, LARGEST_QUERY};
use crate::search::query::Query;
use crate::types::Metric;

use super::layout::Codes;

/// Covers the float32 arithmetic of the kernels, some 8 roundings of 2⁻²⁴, with room to spare.
const ROUNDING: f64 = 1.0 / (1u64 << 19) as f64;

/// Covers float64 arithmetic.
const ROUNDING_64: f64 = 1e-11;

/// A query and what it takes to turn sums over codes into keys (of which higher is closer: the
/// cosine; the inner product over ‖q‖; the negated squared distance).
#[derive(Debug, Clone)]
pub(crate) struct CodedQuery {
    /// What the kernels use.
    pub(crate) code: CodeQuery,
    /// key = base + factor · (A + ⟨r, q′⟩).
    base: f64,
    factor: f64,
    /// ‖q′‖² and what eight bits lose of q′.
    squared: f64,
    lost: f64,
}

/// What a code says of a row's key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    /// The likely key.
    pub(crate) likely: f64,
    /// No less than the key.
    pub(crate) best: f64,
}

impl CodedQuery {
    /// `None` for a query of extreme size, of which float32 factors say nothing. O(dim · log dim).
    pub(crate) fn new(codes: &Codes, query: &Query) -> Option<Self> {
        let metric = query.metric();
        let unit = match metric {
            Metric::L2 => 1.0,
            Metric::Cosine | Metric::Dot => 1.0 / query.norm(),
        };
        let shift = if metric == Metric::Dot { 0.0 } else { 1.0 };
        let pairs = || query.exact().iter().zip(codes.center());
        let mut shifted: Vec<f64> =
            pairs().map(|(&q, &c)| q * unit - shift * f64::from(c)).collect();
        let squared: f64 = shifted.iter().map(|q| q * q).sum();
        let norm = squared.sqrt();
        if !(1e-12..1e15).contains(&norm) {
            return None;
        }
        let (base, factor) = match metric {
            Metric::L2 => (-squared, 2.0),
            Metric::Cosine | Metric::Dot => {
                (pairs().map(|(&q, &c)| q * unit * f64::from(c)).sum(), 1.0)
            }
        };
        codes.rotation.apply(&mut shifted);
        let largest = shifted.iter().fold(0.0f64, |largest, q| largest.max(q.abs()));
        let step = largest / f64::from(LARGEST_QUERY);
        let small: Vec<i8> = shifted.iter().map(|q| (q / step).round() as i8).collect();
        let lost = shifted.iter().zip(&small).map(|(q, &s)| (q - step * f64::from(s)).powi(2));
        let lost = lost.sum::<f64>().sqrt() + norm * ROUNDING;
        let code = CodeQuery::new(&small, step, norm * (1.0 + ROUNDING), lost);
        Some(Self { code, base, factor, squared: squared * (1.0 + ROUNDING_64), lost })
    }

    /// The limit for [`codes`] kernels that every row with a key of at least `floor` passes.
    pub(crate) fn limit(&self, floor: f64) -> f32 {
        let limit = (floor - self.base) / self.factor;
        let slack = ROUNDING_64 * (floor.abs() + self.base.abs() + self.squared);
        // Keys of minus infinity make no limit.
        if floor == f64::NEG_INFINITY { floor as f32 } else { ((limit - slack) as f32).next_down() }
    }

    /// What the code of row `i` of a block says, given the kernel's sum; tighter than the kernel's
    /// own bound because it counts the part of the query that lies along the code only once.
    pub(crate) fn estimate(&self, block: &[u8], i: usize, sum: i32) -> Estimate {
        let row = codes::factors(block, i);
        let along = f64::from(row.scale) * self.code.product(sum);
        let seen = (along.abs() - row.norm * self.lost).max(0.0);
        // A row that is all error has no direction.
        let seen = if row.norm > 0.0 { seen / row.norm } else { 0.0 };
        let error = row.error * (self.squared - seen * seen).max(0.0).sqrt() * (1.0 + ROUNDING)
            + row.norm * self.lost
            + f64::from(row.offset).abs() * ROUNDING
            + 1e-37;
        let likely = self.base + self.factor * (f64::from(row.offset) + along);
        let slack = ROUNDING_64 * (self.base.abs() + self.squared);
        Estimate { likely, best: likely + self.factor * error + slack }
    }
}
