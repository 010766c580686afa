//! Every instruction set of the machine against plain Rust: sums over codes and what is decided
//! with them to the last bit, float32 sums within rounding.

use simdex::kernels::Kernels;
use simdex::kernels::codes::{
    BLOCK_ROWS, CodeQuery, FACTOR_BYTES, GROUP_BYTES, GROUP_DIMS, LARGEST_QUERY,
};
use simdex::kernels::nibbles::{Aim, BLOCK_BYTES, BLOCK_DIMS, Codes, Near};
use simdex::kernels::scalar::Scalar;

const PLAIN: fn() -> Kernels = || Kernels::Scalar(Scalar::new());

/// Short and long vectors, the largest codes, and floats from denormal to huge.
pub fn seed() {
    let ramp: Vec<u8> = (0..4000_u32).map(|i| (i * 77 + i / 251) as u8).collect();
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let some = [1.0, -0.5, 1e-42, 1e18, 0.0, 3.5, -1e-3, 7.0];
    crate::files::seeds(&[
        [&[3, 1, 2][..], &ramp].concat(),
        [&[17, 2, 0][..], &[255; 3000]].concat(),
        [&[8, 1, 1][..], &floats(&some.repeat(40))].concat(),
        [&[64, 3, 3][..], &[0; 9000]].concat(),
    ]);
}

/// The first three bytes choose shapes, the others are what is computed with.
pub fn run(data: &[u8]) {
    let Some((&[dim, heads, tails], data)) = data.split_first_chunk() else { return };
    let dim = 1 + usize::from(dim);
    floats(data, dim);
    code_blocks(data, dim);
    nibbles(data, [1 + usize::from(heads % 4), usize::from(tails % 4)]);
}

fn floats(data: &[u8], dim: usize) {
    let values: Vec<f32> =
        data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let Some((query, rows)) = values.split_at_checked(dim) else { return };
    let n = rows.len() / dim;
    let rows = &rows[..n * dim];
    // Rows as columns, for products of matrices.
    let columns: Vec<f32> =
        (0..dim).flat_map(|at| rows[at.min(rows.len())..].iter().step_by(dim)).copied().collect();
    for kernels in Kernels::available() {
        let mut found = [(); 4].map(|()| vec![f32::NAN; n]);
        let [dots, squares, products, distances] = &mut found;
        kernels.dot_rows(query, rows, dots);
        kernels.squared_l2_rows(query, rows, squares);
        kernels.matrix_product(query, &columns, dim, products);
        kernels.squared_l2_columns(query, &columns, dim, distances);
        for (at, row) in rows.chunks_exact(dim).enumerate() {
            let pairs = || query.iter().zip(row).map(|(&a, &b)| (f64::from(a), f64::from(b)));
            let terms: Vec<f64> = pairs().map(|(a, b)| a * b).collect();
            near(kernels, &terms, [found[0][at], found[2][at], kernels.dot(query, row)]);
            let terms: Vec<f64> = pairs().map(|(a, b)| (a - b) * (a - b)).collect();
            near(kernels, &terms, [found[1][at], found[3][at], kernels.squared_l2(query, row)]);
        }
    }
}

/// Sums of float32 are within the rounding of their terms, in whatever order they are added.
fn near(kernels: Kernels, terms: &[f64], sums: [f32; 3]) {
    let magnitude: f64 = terms.iter().map(|term| term.abs()).sum();
    if magnitude.is_nan() || magnitude >= f64::from(f32::MAX) / 8.0 {
        return;
    }
    let (want, n) = (terms.iter().sum::<f64>(), terms.len() as f64);
    let bound = (n + 8.0) * f64::from(f32::EPSILON) * magnitude + n * f64::from(f32::from_bits(1));
    for sum in sums {
        let error = (f64::from(sum) - want).abs();
        assert!(error <= bound, "{}: {sum:e}, not {want:e}", kernels.name());
    }
}

fn code_blocks(data: &[u8], dim: usize) {
    let groups = dim.div_ceil(GROUP_DIMS);
    let length = groups * GROUP_BYTES + FACTOR_BYTES;
    let Some((block, rest)) = data.split_at_checked(length) else { return };
    let Some((limits, rest)) = rest.split_at_checked(16) else { return };
    let Some((values, _)) = rest.split_at_checked(4 * dim) else { return };
    let limits: [f32; 4] =
        std::array::from_fn(|i| f32::from_le_bytes(std::array::from_fn(|j| limits[4 * i + j])));
    let queries: Vec<CodeQuery> =
        values.chunks(dim).map(|values| CodeQuery::new(&levels(values), 0.01, 1.0, 0.01)).collect();
    let [a, b, c, d] = queries.as_slice() else { return };
    let look = |kernels: Kernels| {
        let mut sums = [[0; BLOCK_ROWS]; 4];
        let rows = kernels.code_block(block, [a, b, c, d], limits, &mut sums);
        (rows, sums)
    };
    let want = look(PLAIN());
    for kernels in Kernels::available() {
        assert_eq!(look(kernels), want, "{}", kernels.name());
    }
}

fn nibbles(data: &[u8], blocks: [usize; 2]) {
    let mut rest = data;
    let mut take = |length: usize| {
        let (first, more) = rest.split_at_checked(length)?;
        rest = more;
        Some(first)
    };
    let Some(queries) = take((blocks[0] + blocks[1]) * BLOCK_DIMS) else { return };
    let Some(numbers) = take(32) else { return };
    let (heads, tails) = queries.split_at(blocks[0] * BLOCK_DIMS);
    let aim = Aim {
        levels: [levels(heads), levels(tails)],
        step: 0.01,
        offsets: [3.0, 5.0],
        norm: 1.0,
        rest: 0.25,
    };
    // The two overlap, which hurts nobody: they are only read.
    let [heads, tails] =
        blocks.map(|blocks| Codes { bytes: rest, stride: blocks.max(1) * BLOCK_BYTES });
    let numbers: Vec<u32> = numbers.iter().map(|&number| u32::from(number)).collect();
    for bound in [f32::INFINITY, 2.0] {
        let look = |kernels: Kernels| {
            let mut near = Near::default();
            kernels.sift(heads, &numbers, &aim, bound, &mut near);
            kernels.refine(heads, tails, &aim, &mut near);
            // NaN of one kind is as good as of another.
            let bits = |distance: f32| if distance.is_nan() { !0 } else { distance.to_bits() };
            let rows = near.rows().iter();
            rows.map(|row| (row.number, row.product, bits(row.distance))).collect::<Vec<_>>()
        };
        let want = look(PLAIN());
        for kernels in Kernels::available() {
            assert_eq!(look(kernels), want, "{}", kernels.name());
        }
    }
}

/// Whole numbers of the size that queries have.
fn levels(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|&byte| (byte as i8).max(-LARGEST_QUERY)).collect()
}
