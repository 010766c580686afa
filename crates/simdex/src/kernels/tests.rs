//! Every instruction set of this machine against a float64 loop, within the documented bound.

use proptest::prelude::*;

use super::Kernels;

const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
const TINY: f64 = 1.401298464324817e-45;

fn gamma(n: usize) -> f64 {
    n as f64 * UNIT / (1.0 - n as f64 * UNIT)
}

fn naive_dot(a: &[f32], b: &[f32]) -> (f64, f64) {
    let products = || a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
    let magnitude: f64 = products().map(f64::abs).sum();
    (products().sum(), gamma(a.len() + 1) * magnitude + a.len() as f64 * TINY)
}

fn naive_l2(a: &[f32], b: &[f32]) -> (f64, f64) {
    let sum: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    (sum, gamma(a.len() + 4) * sum + a.len() as f64 * TINY)
}

fn assert_near(what: &str, got: f32, (want, bound): (f64, f64)) {
    let error = (f64::from(got) - want).abs();
    assert!(error <= bound, "{what}: got {got:e}, want {want:e} ± {bound:e}");
}

fn values(n: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * scale
    };
    (0..n).map(|_| next()).collect()
}

fn check_all(query: &[f32], rows: &[f32]) {
    let (dim, n) = (query.len(), rows.len() / query.len().max(1));
    for kernels in Kernels::available() {
        let (mut dots, mut squares) = (vec![f32::NAN; n], vec![f32::NAN; n]);
        kernels.dot_rows(query, rows, &mut dots);
        kernels.squared_l2_rows(query, rows, &mut squares);
        for i in 0..n {
            let row = &rows[i * dim..][..dim];
            let name = |what| format!("{} {what}, dim {dim}, row {i} of {n}", kernels.name());
            assert_near(&name("dot"), kernels.dot(query, row), naive_dot(query, row));
            assert_near(&name("dot_rows"), dots[i], naive_dot(query, row));
            assert_near(&name("l2"), kernels.squared_l2(query, row), naive_l2(query, row));
            assert_near(&name("l2_rows"), squares[i], naive_l2(query, row));
        }
    }
}

#[test]
fn every_length_and_offset() {
    for dim in (1..=4 * 64 + 3).chain([384, 1536, 4096]) {
        for n in [1, 3, 4, 5] {
            let buffer = values(dim * (n + 1) + 1, dim as u64, 1.0);
            // One value past the start of an allocation is never aligned to a register.
            check_all(&buffer[1..=dim], &buffer[dim + 1..]);
        }
    }
}

#[test]
fn rows_and_columns_of_every_shape() {
    for (n, inner, m) in [(1, 1, 1), (3, 5, 2), (4, 17, 16), (5, 3, 35), (9, 64, 145), (8, 0, 3)] {
        let (a, b) = (values(n * inner, 1, 1.0), values(inner * m, 2, 1.0));
        for kernels in Kernels::available() {
            // With more places than rows, too.
            let (mut dots, mut squares) = (vec![f32::NAN; n * m], vec![f32::NAN; (n + 3) * m]);
            kernels.matrix_product(&a, &b, inner, &mut dots);
            kernels.squared_l2_columns(&a, &b, inner, &mut squares);
            for at in 0..n * m {
                let row = &a[at / m * inner..][..inner];
                let column: Vec<f32> = b.iter().skip(at % m).step_by(m).copied().collect();
                let name = format!("{} {n} x {inner} x {m} at {at}", kernels.name());
                assert_near(&name, dots[at], naive_dot(row, &column));
                assert_near(&name, squares[at], naive_l2(row, &column));
            }
        }
    }
}

#[test]
fn scales_from_denormal_to_huge() {
    for (a, b) in [(1e-42, 1.0), (1e-30, 1e-12), (1e-45, 1e38), (1e19, 1e18), (3e38, 1e-3)] {
        for dim in [1, 17, 384] {
            let (query, rows) = (values(dim, 1, a), values(7 * dim, 2, b));
            for kernels in Kernels::available() {
                for row in rows.chunks(dim) {
                    assert_near(kernels.name(), kernels.dot(&query, row), naive_dot(&query, row));
                }
            }
        }
    }
    check_all(&values(384, 3, 1e-42), &values(384 * 5, 4, 1e-42));
    check_all(&values(384, 3, 1e17), &values(384 * 5, 4, 1e17));
}

#[test]
fn overflow_and_nan_are_not_hidden() {
    for kernels in Kernels::available() {
        for dim in [1, 15, 16, 17, 64, 65, 100] {
            for at in [0, dim / 2, dim - 1] {
                let ones = vec![1.0; dim];
                let mut row = ones.clone();
                row[at] = f32::NAN;
                assert!(kernels.dot(&ones, &row).is_nan());
                assert!(kernels.squared_l2(&ones, &row).is_nan());
                row[at] = 3e38;
                assert_eq!(kernels.squared_l2(&ones, &row), f32::INFINITY);
            }
        }
    }
}

#[test]
fn empty_and_uneven_slices() {
    for kernels in Kernels::available() {
        assert_eq!(kernels.dot(&[], &[1.0]), 0.0);
        assert_eq!(kernels.squared_l2(&[3.0, 9.0], &[1.0]), 4.0);
        let mut out = [7.0; 3];
        kernels.dot_rows(&[2.0, 1.0], &[1.0, 1.0, 5.0], &mut out);
        assert_eq!(out, [3.0, 7.0, 7.0], "one whole row, so one value");
        kernels.dot_rows(&[2.0], &[1.0; 9], &mut out);
        assert_eq!(out, [2.0; 3], "three places, so three values");
    }
}

/// A missing instruction set is a failure where it is asked for, never a silent skip: CI sets
/// `SIMDEX_TEST_ISA` to the names that its machine must have.
#[test]
fn the_expected_instruction_sets_are_tested() {
    let names: Vec<_> = Kernels::available().iter().map(|kernels| kernels.name()).collect();
    assert_eq!(names.last(), Some(&"scalar"));
    assert_eq!(Kernels::detect().name(), names[0]);
    let expected = std::env::var("SIMDEX_TEST_ISA").unwrap_or_default();
    for name in expected.split(',').filter(|name| !name.is_empty()) {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

proptest! {
    #[test]
    fn any_finite_values(
        (query, rows) in (1usize..80, 0usize..7).prop_flat_map(|(dim, n)| {
            let value = prop_oneof![-1e15f32..1e15, -1.0f32..1.0, -1e-38f32..1e-38, Just(0.0)];
            (prop::collection::vec(value.clone(), dim), prop::collection::vec(value, dim * n))
        })
    ) {
        check_all(&query, &rows);
    }
}

/// Sums over codes are whole numbers, the same everywhere, also where every product is largest.
#[test]
fn code_sums_are_exact_on_every_instruction_set() {
    use super::codes::*;
    for dim in (1usize..40).chain([384, 1536, 4099]) {
        let groups = dim.div_ceil(GROUP_DIMS);
        for extreme in [false, true] {
            let noise = values(groups * GROUP_BYTES, dim as u64, 128.0);
            let codes = noise.iter().map(|&x| if extreme { 0xFF } else { x as i8 as u8 });
            let block: Vec<u8> = codes.chain([0; FACTOR_BYTES]).collect();
            let query = |seed: u64| -> Vec<i8> {
                let noise = values(dim, seed, 127.9);
                noise
                    .iter()
                    .map(|&x| if extreme { [127, -127][seed as usize % 2] } else { x as i8 })
                    .collect()
            };
            let small: [Vec<i8>; 4] = std::array::from_fn(|seed| query(seed as u64));
            let want = |q: &[i8], row: usize| -> i32 {
                let code = |d: usize| {
                    let byte = block[d / 8 * GROUP_BYTES + 4 * row + d % 4];
                    i32::from(if d % 8 < 4 { byte & 15 } else { byte >> 4 })
                };
                q.iter().enumerate().map(|(d, &q)| i32::from(q) * code(d)).sum()
            };
            let queries = small.each_ref().map(|q| CodeQuery::new(q, 1.0, 1.0, 1.0));
            for kernels in Kernels::available() {
                let (mut four, mut one) = ([[0; BLOCK_ROWS]; 4], [[0; BLOCK_ROWS]; 1]);
                kernels.code_block(&block, queries.each_ref(), [0.0; 4], &mut four);
                kernels.code_block(&block, [&queries[1]], [0.0], &mut one);
                assert_eq!(four[1], one[0]);
                for (q, sums) in small.iter().zip(&four) {
                    let want: Vec<i32> = (0..BLOCK_ROWS).map(|row| want(q, row)).collect();
                    assert_eq!(sums.as_slice(), want, "{}, dim {dim}", kernels.name());
                }
            }
        }
    }
}
