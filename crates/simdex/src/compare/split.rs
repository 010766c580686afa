//! Holding rows out: a sample becomes the queries, and leaves the base.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::matrix::{Matrix, MatrixBuilder};

/// The sample is the same every time, so that two comparisons of the same rows compare.
const SEED: u64 = 0x5eed;

/// How many of `rows` are held out unless told otherwise: 1,000 or a tenth, the smaller, at least 1.
pub fn default_held_out(rows: usize) -> usize {
    (rows / 10).clamp(1, 1000)
}

/// Splits off `held` rows at random: the rest, and they.
///
/// # Errors
/// `Invalid` unless at least one row is held out and one is left.
pub fn hold_out(mut rows: MatrixBuilder, held: usize) -> Result<(Matrix, Matrix)> {
    if held == 0 || held >= rows.rows() {
        let message = format!("{held} of {} rows can't be held out as queries", rows.rows());
        return Err(Error::new(ErrorKind::Invalid, message)
            .hint("at least one must be held out and one left to search"));
    }
    let queries = rows.take_rows(&sample(rows.rows(), held))?;
    Ok((rows.finish()?, queries.finish()?))
}

/// `count` of the numbers below `n`, ascending, every choice equally likely (Floyd 1987).
fn sample(n: usize, count: usize) -> Vec<usize> {
    let mut random = SplitMix(SEED);
    let mut chosen = BTreeSet::new();
    for last in n - count..n {
        let number = random.below(last + 1);
        chosen.insert(if chosen.contains(&number) { last } else { number });
    }
    chosen.into_iter().collect()
}

/// SplitMix64: the same numbers everywhere.
struct SplitMix(u64);

impl SplitMix {
    /// A number below `bound`; the bias of the product is below 2⁻³² for anything that fits memory.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbered(rows: usize) -> MatrixBuilder {
        let mut builder = MatrixBuilder::new(1, rows).unwrap();
        (0..rows).for_each(|row| builder.add_row().fill(row as f32));
        builder
    }

    proptest! {
        #[test]
        fn no_query_is_in_the_base(rows in 2_usize..300, share in 0.0..1.0_f64) {
            let held = ((rows as f64 * share) as usize).clamp(1, rows - 1);
            let (base, queries) = hold_out(numbered(rows), held).unwrap();
            prop_assert_eq!((base.rows(), queries.rows()), (rows - held, held));
            let mut all: Vec<f32> = [base.values(), queries.values()].concat();
            all.sort_unstable_by(f32::total_cmp);
            let expected: Vec<f32> = (0..rows).map(|row| row as f32).collect();
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn the_sample_spreads_over_all_rows() {
        let chosen = sample(10_000, 1000);
        let in_first_half = chosen.iter().filter(|&&row| row < 5000).count();
        assert!((430..570).contains(&in_first_half), "{in_first_half}");
    }

    #[test]
    fn sizes() {
        assert_eq!([2, 10, 500, 9_999, 20_000].map(default_held_out), [1, 1, 50, 999, 1000]);
        assert!(hold_out(numbered(5), 5).is_err());
        assert!(hold_out(numbered(5), 0).is_err());
    }
}
