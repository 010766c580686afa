//! A fixed pseudo-random rotation that spreads every vector evenly over its dimensions.

/// Rounds of {signs, Hadamard, Givens}: each dimension then depends on every other.
const ROUNDS: usize = 4;

/// An orthogonal map of vectors of `dim` values; the same one for the same `dim`, always.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    dim: usize,
    /// ±1, `ROUNDS × dim`.
    signs: Vec<f64>,
}

impl Rotation {
    pub(super) fn new(dim: usize) -> Self {
        let signs = (0..(ROUNDS * dim) as u64).map(|i| if hash(i) & 1 == 0 { 1.0 } else { -1.0 });
        Self { dim, signs: signs.collect() }
    }

    /// Rotates `vector`, `dim` values, in place. O(dim · log dim).
    pub(super) fn apply(&self, vector: &mut [f64]) {
        // Powers of two are where Hadamard's matrices exist: the first and the last such stretch
        // take turns, and the halves are mixed so that nothing stays in a corner of its own.
        let stretch = 1 << self.dim.ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dim).enumerate() {
            for (value, sign) in vector.iter_mut().zip(signs) {
                *value *= sign;
            }
            let start = if round % 2 == 0 { 0 } else { self.dim - stretch };
            hadamard(&mut vector[start..start + stretch]);
            let (low, high) = vector.split_at_mut(self.dim / 2);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = butterfly(*a, *b);
            }
        }
    }
}

/// The orthogonal fast Walsh–Hadamard transform of a power of two of values.
fn hadamard(values: &mut [f64]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f64).sqrt();
    values.iter_mut().for_each(|value| *value *= scale);
}

/// A rotation of the plane by π/4 (and a reflection).
fn butterfly(a: f64, b: f64) -> (f64, f64) {
    let scale = std::f64::consts::FRAC_1_SQRT_2;
    ((a + b) * scale, (a - b) * scale)
}

/// SplitMix64 (Steele et al. 2014).
fn hash(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
