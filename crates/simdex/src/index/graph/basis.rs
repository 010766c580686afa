//! The directions that codes are taken along: few, where the data allows.

use rayon::prelude::*;

use crate::kernels::Kernels;
use crate::matrix::Slab;

use super::codes::{FIRST_DIMS, OTHER_DIMS};
use super::random::Random;
use super::rotation::Rotation;

/// An orthonormal map of points to the values that are coded.
#[derive(Debug, Clone)]
pub(super) enum Basis {
    /// All dimensions, rotated at random: for data that fills its dimensions evenly.
    Whole(Rotation),
    /// The directions of most variance, each a column: dim × `kept`, row-major.
    Principal(Slab<f32>),
}

/// The most blocks that a principal basis keeps.
const MOST_BLOCKS: usize = 4;

/// The share of the variance that must be kept: what is left out adds an error to distances that
/// is below that of the codes.
const ENOUGH: f64 = 0.95;

/// Rounds of the subspace iteration; the directions need not be exact, only orthonormal.
const ROUNDS: usize = 8;

/// Points that the variance is estimated from.
const SAMPLE: usize = 8192;

/// The cost of the estimate is bounded by sampling fewer points of more dimensions.
const SAMPLE_VALUES: usize = 6 << 20;

impl Basis {
    /// `section` is empty for [`Basis::Whole`].
    pub(super) fn read(section: Slab<f32>, dim: usize) -> Self {
        if section.is_empty() { Self::Whole(Rotation::new(dim)) } else { Self::Principal(section) }
    }

    /// What [`Basis::read`] takes.
    pub(super) fn write(&self) -> Slab<f32> {
        match self {
            Self::Whole(_) => Slab::from_slice(&[]),
            Self::Principal(columns) => columns.clone(),
        }
    }

    /// How many values a point of `dim` dimensions gets.
    pub(super) fn kept(&self, dim: usize) -> usize {
        match self {
            Self::Whole(_) => dim,
            Self::Principal(columns) => columns.len() / dim.max(1),
        }
    }

    /// The values of centred points (n × dim, row-major): n × kept, row-major.
    ///
    /// Several at once cost less than one by one: the basis is read once for all. O(n · dim · kept).
    pub(super) fn apply(&self, kernels: Kernels, mut points: Vec<f32>, dim: usize) -> Vec<f32> {
        match self {
            Self::Whole(rotation) => {
                points.chunks_exact_mut(dim.max(1)).for_each(|point| rotation.apply(point));
                points
            }
            Self::Principal(columns) => {
                let mut values = vec![0.0; points.len() / dim * self.kept(dim)];
                kernels.matrix_product(&points, columns, dim, &mut values);
                values
            }
        }
    }

    /// The basis for points (n × dim, row-major) around `mean`: principal components by subspace
    /// iteration on the covariance of a sample, where few enough of them hold enough of the
    /// variance; rotated at random within each block of a code, so that a block's dimensions
    /// carry equal shares. O(sample · dim² + dim² · kept).
    pub(super) fn learn(kernels: Kernels, values: &[f32], mean: &[f32]) -> Self {
        let dim = mean.len();
        let most = FIRST_DIMS + (MOST_BLOCKS - 1) * OTHER_DIMS;
        if dim <= FIRST_DIMS || values.len() < 4 * dim * most.min(dim) {
            return Self::Whole(Rotation::new(dim));
        }
        let covariance = covariance(kernels, values, mean);
        let total: f64 = (0..dim).map(|i| f64::from(covariance[i * dim + i])).sum();
        let mut rows = iterate(kernels, &covariance, dim, most.min(dim));
        let mut energy = 0.0;
        let mut product = vec![0.0; dim];
        let mut enough = None;
        for (at, row) in rows.chunks_exact(dim).enumerate() {
            kernels.dot_rows(row, &covariance, &mut product);
            energy += f64::from(kernels.dot(row, &product));
            let is_full = at + 1 >= FIRST_DIMS && (at + 1 - FIRST_DIMS).is_multiple_of(OTHER_DIMS);
            if is_full && energy >= ENOUGH * total {
                enough = Some(at + 1);
                break;
            }
        }
        let Some(kept) = enough.filter(|_| total > 0.0) else {
            return Self::Whole(Rotation::new(dim));
        };
        rows.truncate(kept * dim);
        spread(&mut rows, dim);
        let columns: Vec<f32> =
            (0..dim).flat_map(|i| rows.iter().skip(i).step_by(dim)).copied().collect();
        Self::Principal(Slab::from_slice(&columns))
    }
}

/// The covariance of a sample, dim × dim, not normalised.
fn covariance(kernels: Kernels, values: &[f32], mean: &[f32]) -> Vec<f32> {
    let dim = mean.len();
    let count = values.len() / dim;
    let wanted = SAMPLE.min(SAMPLE_VALUES / dim).min(count).max(1);
    // Column by column, so that an entry is the inner product of two slices.
    let mut columns = vec![0.0; dim * wanted];
    for at in 0..wanted {
        let row = &values[(at * count / wanted) * dim..][..dim];
        for (i, (value, mean)) in row.iter().zip(mean).enumerate() {
            columns[i * wanted + at] = value - mean;
        }
    }
    let mut out = vec![0.0; dim * dim];
    out.par_chunks_exact_mut(dim).enumerate().for_each(|(i, out)| {
        kernels.dot_rows(&columns[i * wanted..][..wanted], &columns, out);
    });
    out
}

/// The `count` directions of most variance, about, the most first.
fn iterate(kernels: Kernels, covariance: &[f32], dim: usize, count: usize) -> Vec<f32> {
    let mut random = Random::new(3);
    let mut rows: Vec<f32> =
        (0..count * dim).map(|_| random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0).collect();
    let mut next = vec![0.0; rows.len()];
    orthonormalise(kernels, &mut rows, dim);
    for _ in 0..ROUNDS {
        next.par_chunks_exact_mut(dim).zip(rows.par_chunks_exact(dim)).for_each(|(out, row)| {
            kernels.dot_rows(row, covariance, out);
        });
        std::mem::swap(&mut rows, &mut next);
        orthonormalise(kernels, &mut rows, dim);
    }
    rows
}

/// Gram-Schmidt, each row twice; a row that is left with nothing becomes zero.
fn orthonormalise(kernels: Kernels, rows: &mut [f32], dim: usize) {
    let mut shares = vec![0.0; rows.len() / dim];
    for at in 0..rows.len() / dim {
        let (done, rest) = rows.split_at_mut(at * dim);
        let row = &mut rest[..dim];
        for _ in 0..2 {
            let norm = kernels.dot(row, row).sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|value| *value /= norm);
            }
            kernels.dot_rows(row, done, &mut shares[..at]);
            for (other, share) in done.chunks_exact(dim).zip(&shares) {
                for (value, other) in row.iter_mut().zip(other) {
                    *value -= share * other;
                }
            }
        }
        let norm = kernels.dot(row, row).sqrt();
        let factor = if norm > 1e-3 { 1.0 / norm } else { 0.0 };
        row.iter_mut().for_each(|value| *value *= factor);
    }
}

/// Rotates the rows of each block among themselves.
fn spread(rows: &mut [f32], dim: usize) {
    let (first, others) = rows.split_at_mut((FIRST_DIMS * dim).min(rows.len()));
    for block in std::iter::once(first).chain(others.chunks_mut(OTHER_DIMS * dim)) {
        let rotation = Rotation::new(block.len() / dim);
        let mut column = vec![0.0; block.len() / dim];
        for at in 0..dim {
            for (value, row) in column.iter_mut().zip(block.chunks_exact(dim)) {
                *value = row[at];
            }
            rotation.apply(&mut column);
            for (value, row) in column.iter().zip(block.chunks_exact_mut(dim)) {
                row[at] = *value;
            }
        }
    }
}
