//! Four bits a dimension: the records that a walk reads, and the distance they estimate.

use crate::kernels::Kernels;
use crate::kernels::nibbles::{BLOCK_BYTES, BLOCK_DIMS, GROUP};

use super::rotation::Rotation;

/// The largest level of a code.
const TOP: f32 = 15.0;

/// The middle of the levels: a code `u` stands for the value `u − MIDDLE`.
const MIDDLE: f32 = TOP / 2.0;

/// The largest level of a query.
const QUERY_TOP: f32 = 127.0;

/// Bytes of the two factors behind a code.
const FACTOR_BYTES: usize = 8;

/// Records start at multiples of this.
const RECORD_ALIGNMENT: usize = 16;

/// Turns points into records and queries into [`Target`]s (extended RaBitQ, Gao et al. 2024,
/// 2409.09913): r = Rot(x − mean), a code u of 4 bits a dimension that maximises the cosine of
/// y = u − 7.5 and r, and ‖q − x‖² ≈ ‖r‖² + ‖q′‖² − 2·(‖r‖² / ⟨y, r⟩)·⟨y, q′⟩.
#[derive(Debug, Clone)]
pub(super) struct Coder {
    rotation: Rotation,
    mean: Vec<f32>,
}

/// A query against codes: 8-bit levels and the terms that don't depend on the row.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    levels: Vec<i8>,
    /// 2 · the value of one query level.
    step: f32,
    /// 7.5 · the sum of the levels.
    offset: f32,
    /// ‖q′‖².
    norm: f32,
    rotated: Vec<f32>,
}

impl Coder {
    pub(super) fn new(mean: Vec<f32>) -> Self {
        Self { rotation: Rotation::new(mean.len()), mean }
    }

    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Bytes of a code.
    pub(super) fn code_bytes(dim: usize) -> usize {
        dim.div_ceil(BLOCK_DIMS) * BLOCK_BYTES
    }

    /// Bytes of a record: a code, ‖r‖² and ‖r‖² / ⟨y, r⟩ (float32, little-endian), padding.
    pub(super) fn record_bytes(dim: usize) -> usize {
        (Self::code_bytes(dim) + FACTOR_BYTES).next_multiple_of(RECORD_ALIGNMENT)
    }

    /// Rot(point − mean) into `rotated`.
    fn rotate(&self, point: &[f32], rotated: &mut Vec<f32>) {
        rotated.clear();
        rotated.extend(point.iter().zip(&self.mean).map(|(x, m)| x - m));
        self.rotation.apply(rotated);
    }

    /// Prepares `point` as the point that distances are measured from. O(dim · log dim).
    pub(super) fn aim(&self, point: &[f32], target: &mut Target) {
        let Target { levels, step, offset, norm, rotated } = target;
        self.rotate(point, rotated);
        let largest = rotated.iter().fold(0.0f32, |top, value| top.max(value.abs()));
        let inverse = if largest > 0.0 { QUERY_TOP / largest } else { 0.0 };
        levels.clear();
        levels.extend(rotated.iter().map(|value| (value * inverse).round_ties_even() as i8));
        let sum: i32 = levels.iter().map(|&level| i32::from(level)).sum();
        levels.resize(self.mean.len().next_multiple_of(BLOCK_DIMS), 0);
        *step = 2.0 * largest / QUERY_TOP;
        *offset = MIDDLE * sum as f32;
        *norm = rotated.iter().map(|value| value * value).sum();
    }

    /// Writes the record of `point`. `rotated` is scratch space. O(dim).
    pub(super) fn encode(&self, point: &[f32], rotated: &mut Vec<f32>, record: &mut [u8]) {
        self.rotate(point, rotated);
        record.fill(0);
        let (code, factors) = record.split_at_mut(Self::code_bytes(self.mean.len()));
        let norm: f32 = rotated.iter().map(|value| value * value).sum();
        let scale = best_scale(rotated);
        let mut along = 0.0;
        for (at, &value) in rotated.iter().enumerate() {
            let level = level(value, scale);
            along += (level - MIDDLE) * value;
            let (block, within) = (at / BLOCK_DIMS, at % BLOCK_DIMS);
            let shift = if within < BLOCK_BYTES { 0 } else { 4 };
            if let Some(byte) = code.get_mut(block * BLOCK_BYTES + within % BLOCK_BYTES) {
                *byte |= (level as u8) << shift;
            }
        }
        let stretch = if along > 0.0 { norm / along } else { 0.0 };
        for (place, factor) in factors.chunks_exact_mut(4).zip([norm, stretch]) {
            place.copy_from_slice(&factor.to_le_bytes());
        }
    }
}

/// The level of a value, in 0 ..= 15.
#[inline(always)]
fn level(value: f32, scale: f32) -> f32 {
    // A cast truncates, which rounds down what is not negative.
    let level = (value * scale + (MIDDLE + 0.5)).clamp(0.0, TOP);
    f32::from(level as u8)
}

/// How often scales are tried.
const TRIES: usize = 10;

/// Levels a unit of value, such that the codes point most nearly along the vector.
fn best_scale(rotated: &[f32]) -> f32 {
    let largest = rotated.iter().fold(0.0f32, |top, value| top.max(value.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let (mut best, mut best_cosine) = (MIDDLE / largest, 0.0);
    for attempt in 0..TRIES {
        // From the largest value on the last level to well beyond it: clipping few values makes
        // the steps of the many finer.
        let scale = (1.0 + 0.12 * attempt as f32) * MIDDLE / largest;
        let (mut along, mut length) = (0.0f32, 0.0f32);
        for &value in rotated {
            let y = level(value, scale) - MIDDLE;
            along += y * value;
            length += y * y;
        }
        let cosine = along * along / length;
        if cosine > best_cosine {
            (best, best_cosine) = (scale, cosine);
        }
    }
    best
}

impl Target {
    /// Estimated squared distances of [`GROUP`] records; `f32::MAX` for one that is too short.
    #[inline]
    pub(super) fn distances(&self, kernels: Kernels, records: [&[u8]; GROUP]) -> [f32; GROUP] {
        let code_bytes = self.levels.len() / 2;
        let products = kernels.nibble_dots(records, &self.levels);
        std::array::from_fn(|i| {
            let factors = records[i].get(code_bytes..code_bytes + FACTOR_BYTES);
            let Some(&[a, b, c, d, e, f, g, h]) = factors else { return f32::MAX };
            let (norm, stretch) =
                (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
            self.norm + norm - stretch * (self.step * (products[i] as f32 - self.offset))
        })
    }
}
