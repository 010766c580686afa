//! Four bits a value: the records that a walk reads, and the distances they estimate.

use crate::kernels::Kernels;
use crate::kernels::nibbles::{BLOCK_BYTES, BLOCK_DIMS, GROUP};

use super::basis::Basis;

/// The largest level of a code.
const TOP: f32 = 15.0;

/// The middle of the levels: a code `u` stands for the value `u − MIDDLE`.
const MIDDLE: f32 = TOP / 2.0;

/// The largest level of a query.
const QUERY_TOP: f32 = 127.0;

/// Points that gains are learnt from.
const SAMPLE: usize = 1000;

/// Bytes of the two factors: the end of the first block, where the query's levels are zero.
const FACTOR_BYTES: usize = 8;

/// Bytes of codes in the first block.
const FIRST_BYTES: usize = BLOCK_BYTES - FACTOR_BYTES;

/// Values in the first block of a code.
pub(super) const FIRST_DIMS: usize = 2 * FIRST_BYTES;

/// Values in every other block.
pub(super) const OTHER_DIMS: usize = BLOCK_DIMS;

/// Turns points into records and queries into [`Target`]s.
///
/// With r = Basis(x − mean), a code u of 4 bits a value that maximises the cosine of y = u − 7.5
/// and r (extended RaBitQ, Gao et al. 2024, 2409.09913), and what the basis leaves out taken as
/// orthogonal: ‖q − x‖² ≈ ‖x − mean‖² + ‖q − mean‖² − 2·(‖r‖² / ⟨y, r⟩)·⟨y, q′⟩. Each block has
/// a gain that brings its values to the size of the first one's; a query's are divided by it.
#[derive(Debug, Clone)]
pub(super) struct Coder {
    kernels: Kernels,
    mean: Vec<f32>,
    basis: Basis,
    gains: Vec<f32>,
}

/// A query against codes: 8-bit levels and the terms that don't depend on the row.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    levels: Vec<i8>,
    /// 2 · the value of one query level.
    step: f32,
    /// 7.5 · the sum of the levels, times the step; of the first block and of all.
    offset: f32,
    /// ‖q − mean‖².
    norm: f32,
}

/// Where a value's level is among the levels of whole blocks.
fn slot(at: usize) -> usize {
    match at {
        ..FIRST_BYTES => at,
        FIRST_BYTES..FIRST_DIMS => at - FIRST_BYTES + BLOCK_BYTES,
        _ => at - FIRST_DIMS + BLOCK_DIMS,
    }
}

/// Which block holds a value.
fn block(at: usize) -> usize {
    slot(at) / BLOCK_DIMS
}

/// Bytes of a record of `kept` values; a multiple of a cache line.
pub(super) fn record_bytes(kept: usize) -> usize {
    (1 + kept.saturating_sub(FIRST_DIMS).div_ceil(OTHER_DIMS)) * BLOCK_BYTES
}

impl Coder {
    /// Learns the gains from points (n × dim, row-major).
    pub(super) fn learn(kernels: Kernels, mean: Vec<f32>, basis: Basis, values: &[f32]) -> Self {
        let dim = mean.len();
        let mut coder = Self::new(kernels, mean, basis, Vec::new());
        let mut energies = vec![(0.0f64, 0usize); record_bytes(coder.kept()) / BLOCK_BYTES];
        let count = values.len() / dim.max(1);
        for at in 0..count.min(SAMPLE) {
            let point = &values[at * count / count.min(SAMPLE) * dim..][..dim];
            for (_, point) in coder.place(point) {
                for (at, value) in point.iter().enumerate() {
                    let energy = &mut energies[block(at)];
                    *energy = (energy.0 + f64::from(value * value), energy.1 + 1);
                }
            }
        }
        let size = |(sum, count): (f64, usize)| (sum / count.max(1) as f64).sqrt();
        let first = size(energies[0]);
        let gain = |energy| {
            let gain = first / size(energy);
            if gain.is_finite() { gain.clamp(0.1, 10.0) as f32 } else { 1.0 }
        };
        coder.gains = energies.iter().map(|&energy| gain(energy)).collect();
        coder
    }

    pub(super) fn new(kernels: Kernels, mean: Vec<f32>, basis: Basis, gains: Vec<f32>) -> Self {
        Self { kernels, mean, basis, gains }
    }

    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    pub(super) fn basis(&self) -> &Basis {
        &self.basis
    }

    pub(super) fn gains(&self) -> &[f32] {
        &self.gains
    }

    fn kept(&self) -> usize {
        self.basis.kept(self.mean.len())
    }

    /// Bytes of a record: blocks of codes, with ‖x − mean‖² and ‖r‖² / ⟨y, r⟩ (float32,
    /// little-endian) at the end of the first.
    pub(super) fn record_bytes(&self) -> usize {
        record_bytes(self.kept())
    }

    /// Puts points (n × dim, row-major) into the basis; (‖point − mean‖², values) of each.
    fn place(&self, points: &[f32]) -> Vec<(f32, Vec<f32>)> {
        let dim = self.mean.len();
        let centred = |point: &[f32]| -> Vec<f32> {
            point.iter().zip(&self.mean).map(|(x, m)| x - m).collect()
        };
        let mut points: Vec<f32> = points.chunks_exact(dim.max(1)).flat_map(centred).collect();
        let norms = points.chunks_exact(dim.max(1)).map(|point| self.kernels.dot(point, point));
        let norms: Vec<f32> = norms.collect();
        let mut values = vec![Vec::with_capacity(self.kept()); norms.len()];
        self.basis.apply(self.kernels, &mut points, dim, &mut values);
        norms.into_iter().zip(values).collect()
    }

    fn gain(&self, at: usize) -> f32 {
        self.gains.get(block(at)).copied().unwrap_or(1.0)
    }

    /// Prepares points (n × dim, row-major) as those that distances are measured from.
    /// O(n · dim · kept).
    pub(super) fn aim(&self, points: &[f32]) -> Vec<Target> {
        self.place(points).into_iter().map(|(norm, values)| self.aim_at(norm, values)).collect()
    }

    fn aim_at(&self, norm: f32, mut values: Vec<f32>) -> Target {
        for (block, values) in blocks_mut(&mut values).enumerate() {
            let divisor = self.gain_of(block);
            values.iter_mut().for_each(|value| *value /= divisor);
        }
        let largest = values.iter().fold(0.0f32, |top, value| top.max(value.abs()));
        let inverse = if largest > 0.0 { QUERY_TOP / largest } else { 0.0 };
        let mut levels = vec![0; record_bytes(values.len()) * 2];
        let mut sum = 0;
        for (at, value) in values.iter().enumerate() {
            // A cast truncates, which rounds down what is not negative.
            let level = (value * inverse + (QUERY_TOP + 1.5)) as i32 - 128;
            sum += level;
            levels[slot(at)] = level as i8;
        }
        Target { levels, step: 2.0 * largest / QUERY_TOP, offset: MIDDLE * sum as f32, norm }
    }

    fn gain_of(&self, block: usize) -> f32 {
        self.gains.get(block).copied().unwrap_or(1.0)
    }

    /// Writes the records of points (n × dim, row-major) into `records`. O(n · dim · kept).
    pub(super) fn encode(&self, points: &[f32], records: &mut [u8]) {
        let placed = self.place(points).into_iter();
        for ((norm, values), record) in placed.zip(records.chunks_exact_mut(self.record_bytes())) {
            self.encode_one(norm, values, record);
        }
    }

    fn encode_one(&self, norm: f32, mut values: Vec<f32>, record: &mut [u8]) {
        for (at, value) in values.iter_mut().enumerate() {
            *value *= self.gain(at);
        }
        record.fill(0);
        let coded: f32 = values.iter().map(|value| value * value).sum();
        let scale = best_scale(&values);
        let mut along = 0.0;
        for (at, &value) in values.iter().enumerate() {
            let level = level(value, scale);
            along += (level - MIDDLE) * value;
            let slot = slot(at);
            let (block, within) = (slot / BLOCK_DIMS, slot % BLOCK_DIMS);
            let shift = if within < BLOCK_BYTES { 0 } else { 4 };
            if let Some(byte) = record.get_mut(block * BLOCK_BYTES + within % BLOCK_BYTES) {
                *byte |= (level as u8) << shift;
            }
        }
        let stretch = if along > 0.0 { coded / along } else { 0.0 };
        let factors = record.get_mut(FIRST_BYTES..BLOCK_BYTES).unwrap_or_default();
        for (place, factor) in factors.chunks_exact_mut(4).zip([norm, stretch]) {
            place.copy_from_slice(&factor.to_le_bytes());
        }
    }
}

/// The values of each block.
fn blocks_mut(values: &mut [f32]) -> impl Iterator<Item = &mut [f32]> {
    let (first, others) = values.split_at_mut(FIRST_DIMS.min(values.len()));
    std::iter::once(first).chain(others.chunks_mut(OTHER_DIMS))
}

/// The level of a value, in 0 ..= 15.
#[inline(always)]
fn level(value: f32, scale: f32) -> f32 {
    let level = (value * scale + (MIDDLE + 0.5)).clamp(0.0, TOP);
    level as i32 as f32
}

/// How often scales are tried.
const TRIES: usize = 10;

/// Levels a unit of value, such that the codes point most nearly along the vector.
fn best_scale(values: &[f32]) -> f32 {
    let largest = values.iter().fold(0.0f32, |top, value| top.max(value.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let (mut best, mut best_cosine) = (MIDDLE / largest, 0.0);
    for attempt in 0..TRIES {
        // From the largest value on the last level to well beyond it: clipping few values makes
        // the steps of the many finer.
        let scale = (1.0 + 0.12 * attempt as f32) * MIDDLE / largest;
        let (mut along, mut length) = ([0.0f32; 8], [0.0f32; 8]);
        for values in values.chunks(8) {
            for (i, &value) in values.iter().enumerate() {
                let y = level(value, scale) - MIDDLE;
                along[i] += y * value;
                length[i] += y * y;
            }
        }
        let along = along.iter().sum::<f32>();
        let cosine = along * along / length.iter().sum::<f32>();
        if cosine > best_cosine {
            (best, best_cosine) = (scale, cosine);
        }
    }
    best
}

impl Target {
    /// Estimated squared distances of [`GROUP`] records; `f32::MAX` for one that is too short.
    #[inline(always)]
    pub(super) fn distances(&self, kernels: Kernels, records: [&[u8]; GROUP]) -> [f32; GROUP] {
        let products = kernels.nibble_dots(records, &self.levels);
        let mut factors = [(f32::MAX, 0.0); GROUP];
        for (place, record) in factors.iter_mut().zip(records) {
            if let Some(&[a, b, c, d, e, f, g, h]) = record.get(FIRST_BYTES..BLOCK_BYTES) {
                *place = (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
            }
        }
        std::array::from_fn(|i| {
            let (norm, stretch) = factors[i];
            self.norm + norm - stretch * (self.step * (products[i] as f32 - self.offset))
        })
    }
}
