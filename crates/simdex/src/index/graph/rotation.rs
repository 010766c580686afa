//! A random rotation, so that every dimension carries about the same share of a vector.

use super::random::Random;

/// How often signs are flipped and a block is mixed.
const ROUNDS: usize = 4;

/// Random signs and fast Hadamard transforms over the first and the last 2^⌊log2 dim⌋ dimensions
/// in turn, an orthogonal map (Ailon & Chazelle 2009; overlapping blocks as in extended RaBitQ,
/// Gao et al. 2024, 2409.09913). It is a function of the dimension alone and needs no storage.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    dim: usize,
    block: usize,
    /// [`ROUNDS`] × dim factors: random signs times the transform's normalisation.
    factors: Vec<f32>,
}

impl Rotation {
    pub(super) fn new(dim: usize) -> Self {
        let block = 1 << dim.max(1).ilog2();
        let scale = 1.0 / (block as f32).sqrt();
        let mut random = Random::new(dim as u64);
        let mut factors = Vec::with_capacity(ROUNDS * dim);
        for round in 0..ROUNDS {
            let mixed = Self::mixed(round, dim, block);
            factors.extend((0..dim).map(|at| {
                let sign = if random.next() >> 63 == 0 { 1.0 } else { -1.0 };
                if mixed.contains(&at) { sign * scale } else { sign }
            }));
        }
        Self { dim, block, factors }
    }

    /// The dimensions that a round mixes.
    fn mixed(round: usize, dim: usize, block: usize) -> std::ops::Range<usize> {
        let start = if round.is_multiple_of(2) { 0 } else { dim - block };
        start..start + block
    }

    /// Rotates in place; values beyond the dimension stay. O(dim · log dim).
    pub(super) fn apply(&self, values: &mut [f32]) {
        let Some(values) = values.get_mut(..self.dim) else { return };
        for (round, factors) in self.factors.chunks_exact(self.dim.max(1)).enumerate() {
            for (value, factor) in values.iter_mut().zip(factors) {
                *value *= factor;
            }
            hadamard(&mut values[Self::mixed(round, self.dim, self.block)]);
        }
    }
}

/// The transform of a power of two of values, not normalised.
fn hadamard(values: &mut [f32]) {
    let n = values.len();
    if n < 8 {
        return hadamard_steps(values, n);
    }
    let (eights, _) = values.as_chunks_mut::<8>();
    for v in eights {
        let a: [f32; 8] = [
            v[0] + v[1],
            v[0] - v[1],
            v[2] + v[3],
            v[2] - v[3],
            v[4] + v[5],
            v[4] - v[5],
            v[6] + v[7],
            v[6] - v[7],
        ];
        let b: [f32; 8] = [
            a[0] + a[2],
            a[1] + a[3],
            a[0] - a[2],
            a[1] - a[3],
            a[4] + a[6],
            a[5] + a[7],
            a[4] - a[6],
            a[5] - a[7],
        ];
        for i in 0..4 {
            (v[i], v[i + 4]) = (b[i] + b[i + 4], b[i] - b[i + 4]);
        }
    }
    let mut half = 8;
    while half < n {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            let (low, high) = (low.as_chunks_mut::<8>().0, high.as_chunks_mut::<8>().0);
            for (a, b) in low.iter_mut().zip(high) {
                for i in 0..8 {
                    (a[i], b[i]) = (a[i] + b[i], a[i] - b[i]);
                }
            }
        }
        half *= 2;
    }
}

/// The transform of fewer than eight values.
fn hadamard_steps(values: &mut [f32], n: usize) {
    let mut half = 1;
    while half < n {
        for start in (0..n).step_by(2 * half) {
            for at in start..start + half {
                let (a, b) = (values[at], values[at + half]);
                (values[at], values[at + half]) = (a + b, a - b);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_angles_stay() {
        for dim in [1, 2, 3, 7, 8, 9, 17, 64, 100, 384, 1536] {
            let rotation = Rotation::new(dim);
            let mut random = Random::new(7);
            let mut vector = || -> Vec<f32> {
                (0..dim).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
            };
            let (mut a, mut b) = (vector(), vector());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
            let before = [dot(&a, &a), dot(&b, &b), dot(&a, &b)];
            rotation.apply(&mut a);
            rotation.apply(&mut b);
            let after = [dot(&a, &a), dot(&b, &b), dot(&a, &b)];
            for (x, y) in before.into_iter().zip(after) {
                assert!((x - y).abs() <= 1e-4 * dim as f32, "{dim}: {x} became {y}");
            }
        }
    }

    #[test]
    fn one_dimension_spreads_over_all() {
        let mut unit = vec![0.0; 384];
        unit[5] = 1.0;
        Rotation::new(384).apply(&mut unit);
        assert!(unit.iter().all(|value| value.abs() < 0.3));
    }
}
