//! Squared Euclidean distance with the very rounding of faiss, for callers that must print the
//! digits that faiss prints.
//!
//! faiss-cpu (1.7 to 1.15) leaves the sum of squared differences to the compiler's vectorizer, once
//! per instruction set that it is built for. What comes out is one register of partial sums; then
//! the halves of that register are added until one value is left; then a part of half the width,
//! if so many values remain; then the rest one by one:
//!
//! | machine | lanes | each product | a half-width part from |
//! |---|---|---|---|
//! | AVX-512 | 16 | fused with its addition | 8 values |
//! | AVX2 | 8 | rounded; fused in the half-width part and the rest | 4 values |
//! | others | 4 | rounded | 2 values |
//!
//! Read off faiss-cpu 1.15.1 for Linux on x86-64 and compared bit by bit with it, dimensions 1 to
//! 1,536. On ARM, on macOS and with other releases of faiss the last digits may differ.

use super::Kernels;

/// How the products of a part are added.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// Product and sum are rounded, each.
    Twice,
    /// One rounding for both.
    Fused,
}

impl Kernels {
    /// ‖a − b‖² as faiss computes it on this machine; the longer slice is cut to the shorter. O(n).
    pub fn squared_l2_of_faiss(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(isa) => isa.squared_l2_of_faiss(a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(isa) => isa.squared_l2_of_faiss(a, b),
            _ => narrow(a, b),
        }
    }
}

/// Sixteen lanes, fused.
#[inline(always)]
pub(super) fn wide(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = whole(a, b);
    let ((a16, a), (b16, b)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0; 16];
    for (a, b) in a16.iter().zip(b16) {
        add(&mut sums, a, b, Rounding::Fused);
    }
    let mut half = halve::<16, 8>(sums);
    let (a, b) = half_width(&mut half, a, b);
    rest(sum_of_eight(half), a, b, Rounding::Fused)
}

/// Eight lanes, not fused but at the end.
#[inline(always)]
pub(super) fn middle(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = whole(a, b);
    let ((a8, a), (b8, b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a8.iter().zip(b8) {
        add(&mut sums, a, b, Rounding::Twice);
    }
    let mut half = halve::<8, 4>(sums);
    let (a, b) = half_width(&mut half, a, b);
    rest(sum_of_four(half), a, b, Rounding::Fused)
}

/// Four lanes, not fused.
fn narrow(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = whole(a, b);
    let ((a4, a), (b4, b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        add(&mut sums, a, b, Rounding::Twice);
    }
    let mut half = halve::<4, 2>(sums);
    let ((a2, a), (b2, b)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
    for (a, b) in a2.iter().zip(b2) {
        add(&mut half, a, b, Rounding::Twice);
    }
    rest(half[1] + half[0], a, b, Rounding::Twice)
}

fn whole<'a>(a: &'a [f32], b: &'a [f32]) -> (&'a [f32], &'a [f32]) {
    let n = a.len().min(b.len());
    (&a[..n], &b[..n])
}

#[inline(always)]
fn add<const N: usize>(sums: &mut [f32; N], a: &[f32; N], b: &[f32; N], rounding: Rounding) {
    for lane in 0..N {
        let difference = a[lane] - b[lane];
        sums[lane] = match rounding {
            Rounding::Twice => sums[lane] + difference * difference,
            Rounding::Fused => difference.mul_add(difference, sums[lane]),
        };
    }
}

/// A part of half the register's width, if there are so many values; gives what remains.
#[inline(always)]
fn half_width<'a, const N: usize>(
    sums: &mut [f32; N],
    a: &'a [f32],
    b: &'a [f32],
) -> (&'a [f32], &'a [f32]) {
    let ((parts_a, a), (parts_b, b)) = (a.as_chunks::<N>(), b.as_chunks::<N>());
    for (a, b) in parts_a.iter().zip(parts_b) {
        add(sums, a, b, Rounding::Fused);
    }
    (a, b)
}

#[inline(always)]
fn halve<const N: usize, const HALF: usize>(sums: [f32; N]) -> [f32; HALF] {
    std::array::from_fn(|lane| sums[lane + HALF] + sums[lane])
}

#[inline(always)]
fn sum_of_eight(sums: [f32; 8]) -> f32 {
    sum_of_four(halve::<8, 4>(sums))
}

#[inline(always)]
fn sum_of_four(sums: [f32; 4]) -> f32 {
    let [low, high] = halve::<4, 2>(sums);
    high + low
}

#[inline(always)]
fn rest(mut sum: f32, a: &[f32], b: &[f32], rounding: Rounding) -> f32 {
    for (a, b) in a.iter().zip(b) {
        let difference = a - b;
        sum = match rounding {
            Rounding::Twice => sum + difference * difference,
            Rounding::Fused => difference.mul_add(difference, sum),
        };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits that faiss-cpu 1.15.1 gave with FAISS_SIMD_LEVEL=AVX512, AVX2 and NONE.
    const OF_FAISS: &[(usize, [u32; 3])] = &[
        (1, [0x358ef194, 0x358ef194, 0x358ef194]),
        (2, [0x3eadce47, 0x3eadce47, 0x3eadce47]),
        (3, [0x3eb07873, 0x3eb07873, 0x3eb07873]),
        (4, [0x400148dc, 0x400148dc, 0x400148dc]),
        (5, [0x40743edc, 0x40743edb, 0x40743edb]),
        (6, [0x40761c13, 0x40761c13, 0x40761c13]),
        (7, [0x407df2dd, 0x407df2dd, 0x407df2dd]),
        (8, [0x4097be51, 0x4097be51, 0x4097be51]),
        (9, [0x413872ef, 0x413872ef, 0x413872ef]),
        (11, [0x4098d3a7, 0x4098d3a7, 0x4098d3a7]),
        (12, [0x40d0fdd6, 0x40d0fdd6, 0x40d0fdd6]),
        (15, [0x4107e3fc, 0x4107e3fc, 0x4107e3fd]),
        (16, [0x40fc3354, 0x40fc3354, 0x40fc3354]),
        (17, [0x41400e0f, 0x41400e0f, 0x41400e0f]),
        (20, [0x4141bf40, 0x4141bf40, 0x4141bf40]),
        (23, [0x419dd4c2, 0x419dd4c3, 0x419dd4c2]),
        (24, [0x418507ec, 0x418507ec, 0x418507ec]),
        (27, [0x418a6573, 0x418a6573, 0x418a6573]),
        (31, [0x4192848d, 0x4192848d, 0x4192848d]),
        (33, [0x419559db, 0x419559db, 0x419559db]),
        (40, [0x4207bb26, 0x4207bb25, 0x4207bb24]),
        (100, [0x428615c5, 0x428615c4, 0x428615c4]),
        (383, [0x43848d82, 0x43848d84, 0x43848d84]),
        (384, [0x4368238a, 0x4368238a, 0x4368238a]),
        (1536, [0x4472f43f, 0x4472f440, 0x4472f441]),
    ];

    fn values(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_level_has_the_bits_of_faiss() {
        for &(dim, expected) in OF_FAISS {
            let (a, b) = (values(dim, dim as u64), values(dim, dim as u64 + 1000));
            let got = [wide(&a, &b), middle(&a, &b), narrow(&a, &b)].map(f32::to_bits);
            assert_eq!(got, expected, "{dim} dimensions");
        }
    }

    #[test]
    fn a_machine_uses_the_level_that_faiss_would() {
        let (a, b) = (values(383, 1), values(383, 2));
        for kernels in Kernels::available() {
            let expected = match kernels.name() {
                "avx512" | "avx512vnni" => wide(&a, &b),
                "avx2" => middle(&a, &b),
                _ => narrow(&a, &b),
            };
            assert_eq!(kernels.squared_l2_of_faiss(&a, &b).to_bits(), expected.to_bits());
        }
    }
}
