//! Building codes.

use rayon::prelude::*;

use crate::error::Result;
use crate::index::Sections;
use crate::kernels::codes::{BLOCK_ROWS, GROUP_BYTES, GROUP_DIMS, LEVELS};
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::types::Metric;

use super::layout::{CENTER, CODES, MOST_DIMENSIONS, stride};
use super::rotation::Rotation;

/// The best step of a uniform 16-level quantizer for a normal distribution, in standard deviations
/// (Max 1960, table II): rotated values are close to normal.
const STEP: f64 = 0.335;

/// Beyond these norms float32 factors could overflow or vanish.
const LARGEST: f64 = 1e18;
const SMALLEST: f64 = 1e-25;

/// Rows handled between two questions whether to stop.
const AT_ONCE: usize = 1 << 14;

/// Codes of `vectors` for `metric`; nothing where there are too many dimensions. O(n · dim · log dim).
pub(crate) fn encode(
    vectors: &Matrix,
    metric: Metric,
    observer: &dyn Observer,
) -> Result<Sections> {
    let dim = vectors.dim();
    if dim > MOST_DIMENSIONS {
        return Ok(Sections::new());
    }
    let center = center(vectors, metric);
    let encoder = Encoder { metric, center: &center, rotation: &Rotation::new(dim) };
    let stride = stride(dim);
    let mut bytes = vec![0u8; vectors.rows().div_ceil(BLOCK_ROWS) * stride];
    let rows = vectors.values().chunks(AT_ONCE * dim);
    for (done, (rows, bytes)) in
        rows.zip(bytes.chunks_mut(AT_ONCE / BLOCK_ROWS * stride)).enumerate()
    {
        observer.checkpoint()?;
        observer.progress("codes", (done * AT_ONCE) as u64, Some(vectors.rows() as u64));
        rows.par_chunks(BLOCK_ROWS * dim)
            .zip(bytes.par_chunks_mut(stride))
            .for_each(|(rows, block)| encoder.block(rows, block));
    }
    let mut sections = Sections::new();
    sections.insert(CODES.into(), Slab::from_slice(&bytes));
    sections.insert(CENTER.into(), Slab::from_slice(bytemuck::cast_slice(&center)));
    Ok(sections)
}

/// The factor that makes a row what is coded: the row itself, or its direction under cosine.
fn normaliser(row: &[f32], metric: Metric) -> f64 {
    match metric {
        Metric::Cosine => 1.0 / norm(row.iter().map(|&x| f64::from(x))),
        Metric::L2 | Metric::Dot => 1.0,
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// The mean of what is coded, rows of extreme size left out.
fn center(vectors: &Matrix, metric: Metric) -> Vec<f32> {
    let dim = vectors.dim();
    let parts = vectors.values().par_chunks(1024 * dim).map(|rows| {
        let mut sum = vec![0.0f64; dim];
        for row in rows.chunks(dim) {
            let factor = normaliser(row, metric);
            if norm(row.iter().map(|&x| f64::from(x) * factor)) < LARGEST {
                sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) * factor);
            }
        }
        sum
    });
    let add = |mut a: Vec<f64>, b: Vec<f64>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    // Parts are added in order, so that a build gives the same bytes with any number of threads.
    let parts: Vec<_> = parts.collect();
    let sum = parts.into_iter().fold(vec![0.0; dim], add);
    let rows = vectors.rows().max(1) as f64;
    sum.into_iter().map(|sum| (sum / rows) as f32).collect()
}

struct Encoder<'a> {
    metric: Metric,
    center: &'a [f32],
    rotation: &'a Rotation,
}

/// What is stored of a row beside its code.
struct Factors {
    offset: f32,
    scale: f32,
    error: f32,
    norm: f32,
}

impl Encoder<'_> {
    fn block(&self, rows: &[f32], block: &mut [u8]) {
        let dim = self.center.len();
        let (codes, factors) = block.split_at_mut(dim.div_ceil(GROUP_DIMS) * GROUP_BYTES);
        let mut code = vec![0u8; dim];
        for (i, row) in rows.chunks(dim).enumerate() {
            let row = self.row(row, &mut code);
            for (group, code) in codes.chunks_mut(GROUP_BYTES).zip(code.chunks(GROUP_DIMS)) {
                for (d, &u) in code.iter().enumerate() {
                    group[4 * i + d % 4] |= u << (4 * (d / 4));
                }
            }
            let errors = up_to_bf16(row.error) & 0xFFFF_0000 | up_to_bf16(row.norm) >> 16;
            let words = [row.offset.to_bits(), row.scale.to_bits(), errors];
            for (kind, word) in words.into_iter().enumerate() {
                factors[4 * (BLOCK_ROWS * kind + i)..][..4].copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    /// Codes one row.
    fn row(&self, row: &[f32], code: &mut [u8]) -> Factors {
        let factor = normaliser(row, self.metric);
        let center = || self.center.iter().map(|&c| f64::from(c));
        let mut r: Vec<f64> =
            row.iter().zip(center()).map(|(&x, c)| f64::from(x) * factor - c).collect();
        let squared: f64 = r.iter().map(|r| r * r).sum();
        let offset = match self.metric {
            Metric::Cosine => r.iter().zip(center()).map(|(r, c)| r * c).sum(),
            Metric::Dot => 0.0,
            Metric::L2 => -squared / 2.0,
        };
        // What float64 itself may lose in centring and rotating.
        let lost = 1e-12 * (norm(center()) + squared.sqrt());
        code.fill(0);
        let size = squared.sqrt() + norm(center());
        if size.is_nan() || size >= LARGEST {
            // Nothing is known of such a row: its best case is infinite.
            return Factors { offset: 0.0, scale: 0.0, error: f32::INFINITY, norm: 0.0 };
        }
        let offset = offset as f32;
        if squared.sqrt() < SMALLEST {
            let error = (squared.sqrt() + lost) as f32;
            return Factors { offset, scale: 0.0, error: error.next_up(), norm: 0.0 };
        }
        self.rotation.apply(&mut r);
        let scale = f64::from(quantize(&r, code) as f32);
        let decoded = || code.iter().map(|&u| scale * level(u));
        let error = norm(r.iter().zip(decoded()).map(|(r, x)| r - x)) + lost;
        let norm = norm(decoded()) * (1.0 + 1e-9);
        let up = |value: f64| ((value * (1.0 + 1e-9)) as f32).next_up();
        Factors { offset, scale: scale as f32, error: up(error), norm: up(norm) }
    }
}

/// The value that a code stands for, before scaling.
fn level(u: u8) -> f64 {
    f64::from(u) - 7.5
}

/// Chooses the code of `r` and returns its scale: alternates, from a good guess, between the best
/// code for a scale and the best scale for a code.
fn quantize(r: &[f64], code: &mut [u8]) -> f64 {
    let mut scale = STEP * (r.iter().map(|r| r * r).sum::<f64>() / r.len() as f64).sqrt();
    for _ in 0..3 {
        let (mut along, mut length) = (0.0, 0.0);
        for (u, &r) in code.iter_mut().zip(r) {
            *u = (r / scale + 8.0).clamp(0.0, LEVELS - 1.0) as u8;
            along += level(*u) * r;
            length += level(*u) * level(*u);
        }
        scale = along / length;
    }
    scale
}

/// The bits of the smallest bfloat16 that is no less than `value` ≥ 0.
fn up_to_bf16(value: f32) -> u32 {
    if value.is_finite() { (value.to_bits() + 0xFFFF) & 0xFFFF_0000 } else { 0x7F80_0000 }
}
