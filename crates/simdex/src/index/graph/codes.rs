//! Four bits a value: the records that a walk reads, and the distances they estimate.

use crate::kernels::Kernels;
use crate::kernels::nibbles::{Aim, BLOCK_BYTES, BLOCK_DIMS, Codes, FACTOR_BYTES, Factors};

use super::basis::Basis;

/// The largest level of a code.
const TOP: f32 = 15.0;

/// The middle of the levels: a code `u` stands for the value `u − MIDDLE`.
const MIDDLE: f32 = TOP / 2.0;

/// The largest level of a query.
const QUERY_TOP: f32 = 127.0;

/// Points that gains are learnt from.
const SAMPLE: usize = 1000;

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
    shape: Shape,
    gains: Vec<f32>,
    weights: Vec<i16>,
}

/// The share of the squared length that heads have, where there is enough.
const HEAD_SHARE: f64 = 0.6;

/// How a code is divided: its head says of most rows that they are too far, so that the tail,
/// elsewhere in memory, need not be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Blocks of 64 bytes.
    pub(super) head: usize,
    pub(super) tail: usize,
}

impl Shape {
    /// For codes of `kept` values, of which `head` blocks (but at least one, at most all) are the
    /// head.
    pub(super) fn new(kept: usize, head: usize) -> Self {
        let blocks = 1 + kept.saturating_sub(FIRST_DIMS).div_ceil(OTHER_DIMS);
        let head = head.clamp(1, blocks);
        Self { head, tail: blocks - head }
    }

    fn blocks(self) -> usize {
        self.head + self.tail
    }

    /// Bytes of a head.
    pub(super) fn head_bytes(self) -> usize {
        self.head * BLOCK_BYTES
    }

    /// Bytes of a tail; may be 0.
    pub(super) fn tail_bytes(self) -> usize {
        self.tail * BLOCK_BYTES
    }
}

/// The codes of all nodes.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) heads: Vec<u8>,
    pub(super) tails: Vec<u8>,
}

/// [`Records`] as they are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordsView<'a> {
    pub(super) heads: Codes<'a>,
    pub(super) tails: Codes<'a>,
}

impl Records {
    pub(super) fn view(&self, shape: Shape) -> RecordsView<'_> {
        RecordsView::new(&self.heads, &self.tails, shape)
    }
}

impl<'a> RecordsView<'a> {
    pub(super) fn new(heads: &'a [u8], tails: &'a [u8], shape: Shape) -> Self {
        Self {
            heads: Codes { bytes: heads, stride: shape.head_bytes() },
            tails: Codes { bytes: tails, stride: shape.tail_bytes() },
        }
    }
}

/// A query against codes.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    pub(super) aim: Aim,
    /// Twice the length of what of q − mean is not in the head.
    rest: f32,
}

impl Target {
    /// Sets how much of the greatest possible inner product outside of the heads two points may
    /// have, from 0 to 1.
    pub(super) fn reach(&mut self, reach: f32) {
        self.aim.rest = self.rest * reach;
    }
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

impl Coder {
    /// Learns the shape and the gains from points (n × dim, row-major).
    pub(super) fn learn(kernels: Kernels, mean: Vec<f32>, basis: Basis, values: &[f32]) -> Self {
        let dim = mean.len();
        let kept = basis.kept(dim);
        let mut coder = Self::new(kernels, mean, basis, 1, Vec::new());
        let mut energies = vec![(0.0f64, 0usize); coder.shape.blocks()];
        let mut total = 0.0;
        let count = values.len() / dim.max(1);
        for at in 0..count.min(SAMPLE) {
            let point = &values[at * count / count.min(SAMPLE) * dim..][..dim];
            let (norms, point) = coder.place(point);
            total += norms.iter().copied().map(f64::from).sum::<f64>();
            for (at, value) in point.iter().enumerate() {
                let energy = &mut energies[block(at)];
                *energy = (energy.0 + f64::from(value * value), energy.1 + 1);
            }
        }
        let size = |(sum, count): (f64, usize)| (sum / count.max(1) as f64).sqrt();
        let first = size(energies[0]);
        let gain = |energy| {
            let gain = first / size(energy);
            if gain.is_finite() { gain.clamp(0.1, 10.0) as f32 } else { 1.0 }
        };
        coder.gains = energies.iter().map(|&energy| gain(energy)).collect();
        let mut covered = 0.0;
        let few = energies.iter().take_while(|energy| {
            covered += energy.0;
            covered < HEAD_SHARE * total
        });
        coder.shape = Shape::new(kept, few.count() + 1);
        coder.weights = coder.weights();
        coder
    }

    pub(super) fn new(
        kernels: Kernels,
        mean: Vec<f32>,
        basis: Basis,
        head: usize,
        gains: Vec<f32>,
    ) -> Self {
        let shape = Shape::new(basis.kept(mean.len()), head);
        let mut coder = Self { kernels, mean, basis, shape, gains, weights: Vec::new() };
        coder.weights = coder.weights();
        coder
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

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// What a code's values weigh in a product of codes, for each level of a query; 0 where there
    /// is no value.
    fn weights(&self) -> Vec<i16> {
        let inverse = |at: usize| 1.0 / (self.gain(at) * self.gain(at));
        let largest = (0..self.kept()).map(inverse).fold(0.0, f32::max);
        let mut weights = vec![0; self.shape.blocks() * BLOCK_DIMS];
        for at in 0..self.kept() {
            weights[slot(at)] = (MOST_WEIGHT * inverse(at) / largest).round() as i16;
        }
        weights
    }

    /// Prepares the point of a code as one that distances are measured from: with the code's own
    /// error, without its point. O(kept).
    pub(super) fn aim_at_code(&self, records: RecordsView, number: u32, aim: &mut Aim) {
        let [heads, tails] = [records.heads.get(number), records.tails.get(number)];
        let mut sums = [0; 2];
        let (first, second) = self.weights.split_at(self.shape.head * BLOCK_DIMS);
        for (i, (codes, weights)) in [(heads, first), (tails, second)].into_iter().enumerate() {
            let levels = &mut aim.levels[i];
            levels.resize(weights.len(), 0);
            let blocks = levels.chunks_exact_mut(BLOCK_DIMS).zip(weights.chunks_exact(BLOCK_DIMS));
            for ((levels, weights), codes) in blocks.zip(codes.chunks_exact(BLOCK_BYTES)) {
                let (low, high) = levels.split_at_mut(BLOCK_BYTES);
                let (low_weights, high_weights) = weights.split_at(BLOCK_BYTES);
                for ((level, &code), weight) in low.iter_mut().zip(codes).zip(low_weights) {
                    *level = weighed(code & 15, *weight);
                }
                for ((level, &code), weight) in high.iter_mut().zip(codes).zip(high_weights) {
                    *level = weighed(code >> 4, *weight);
                }
            }
            sums[i] = levels.iter().map(|&level| i32::from(level)).sum::<i32>();
        }
        let factors = heads.first_chunk().map(Factors::of);
        let (norm, stretch) = factors.map_or((0.0, 0.0), |f| (f.norm, f.stretch));
        aim.step = 2.0 * stretch / (MOST_WEIGHT / 128.0);
        aim.offsets = [sums[0], sums[0] + sums[1]].map(|sum| MIDDLE * sum as f32);
        aim.norm = norm;
        aim.rest = 0.0;
    }

    /// Puts points (n × dim, row-major) into the basis: their squared distances to the mean, and
    /// their values (n × kept, row-major).
    fn place(&self, points: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let dim = self.mean.len().max(1);
        let mut centred = points.to_vec();
        for point in centred.chunks_exact_mut(dim) {
            for (value, mean) in point.iter_mut().zip(&self.mean) {
                *value -= mean;
            }
        }
        let norms = centred.chunks_exact(dim).map(|point| self.kernels.dot(point, point)).collect();
        (norms, self.basis.apply(self.kernels, centred, dim))
    }

    fn gain(&self, at: usize) -> f32 {
        self.gains.get(block(at)).copied().unwrap_or(1.0)
    }

    /// Prepares points (n × dim, row-major) as those that distances are measured from.
    /// O(n · dim · kept).
    pub(super) fn aim(&self, points: &[f32]) -> Vec<Target> {
        let (norms, mut values) = self.place(points);
        let each = values.chunks_exact_mut(self.kept().max(1));
        norms.into_iter().zip(each).map(|(norm, values)| self.aim_at(norm, values)).collect()
    }

    /// `values` are used up.
    fn aim_at(&self, norm: f32, values: &mut [f32]) -> Target {
        let rest = self.rest(norm, values);
        for (block, values) in blocks_mut(values).enumerate() {
            let divisor = self.gain_of(block);
            values.iter_mut().for_each(|value| *value /= divisor);
        }
        let largest = values.iter().fold(0.0f32, |top, value| top.max(value.abs()));
        let inverse = if largest > 0.0 { QUERY_TOP / largest } else { 0.0 };
        let mut levels = vec![0; self.shape.blocks() * BLOCK_DIMS];
        for (at, value) in values.iter().enumerate() {
            // A cast truncates, which rounds down what is not negative.
            levels[slot(at)] = ((value * inverse + (QUERY_TOP + 1.5)) as i32 - 128) as i8;
        }
        let tail = levels.split_off(self.shape.head * BLOCK_DIMS);
        let sum = |levels: &[i8]| levels.iter().map(|&level| i32::from(level)).sum::<i32>();
        let sums = [sum(&levels), sum(&levels) + sum(&tail)];
        let rest = 2.0 * rest;
        let aim = Aim {
            levels: [levels, tail],
            step: 2.0 * largest / QUERY_TOP,
            offsets: sums.map(|sum| MIDDLE * sum as f32),
            norm,
            rest,
        };
        Target { aim, rest }
    }

    /// The length of what of a point is not in the head of its code.
    fn rest(&self, norm: f32, values: &[f32]) -> f32 {
        let dims = FIRST_DIMS + (self.shape.head - 1) * OTHER_DIMS;
        let head: f32 = values.iter().take(dims).map(|value| value * value).sum();
        (norm - head).max(0.0).sqrt()
    }

    fn gain_of(&self, block: usize) -> f32 {
        self.gains.get(block).copied().unwrap_or(1.0)
    }

    /// Writes the codes of points (n × dim, row-major). O(n · dim · kept).
    pub(super) fn encode(&self, points: &[f32], heads: &mut [u8], tails: &mut [u8]) {
        let (head, tail) = (self.shape.head_bytes(), self.shape.tail_bytes());
        let mut record = vec![0; self.shape.blocks() * BLOCK_BYTES];
        let (norms, mut values) = self.place(points);
        let each = values.chunks_exact_mut(self.kept().max(1));
        for (at, (norm, values)) in norms.into_iter().zip(each).enumerate() {
            self.encode_one(norm, values, &mut record);
            let (first, second) = record.split_at(head);
            heads[at * head..][..head].copy_from_slice(first);
            tails[at * tail..][..tail].copy_from_slice(second);
        }
    }

    /// `values` are used up.
    fn encode_one(&self, norm: f32, values: &mut [f32], record: &mut [u8]) {
        let rest = self.rest(norm, values);
        for (at, value) in values.iter_mut().enumerate() {
            *value *= self.gain(at);
        }
        record.fill(0);
        let coded: f32 = values.iter().map(|value| value * value).sum();
        let scale = best_scale(values);
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
        let factors = Factors { norm, stretch, rest };
        record[FIRST_BYTES..BLOCK_BYTES].copy_from_slice(&factors.to_bytes());
    }
}

/// The weight that brings the largest level of a code to the largest of a query, in 256ths.
const MOST_WEIGHT: f32 = 2160.0;

/// The level of a query for the level of a code.
#[inline(always)]
fn weighed(code: u8, weight: i16) -> i8 {
    (((2 * i16::from(code) - 15) * weight + 128) >> 8) as i8
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
