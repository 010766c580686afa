//! Arithmetic on float32 rows, once per instruction set.
//!
//! An instruction set is a value that one can fail to obtain ([`avx2::Avx2::new`] returns an
//! `Option`), so holding it proves that the instructions exist. [`Kernels`] is one such value,
//! chosen at run time; store it in an index and pass it on. There is no global state.
//!
//! # Error bound
//! Every sum here has at most one rounding a product and `n` additions in some order (fused or
//! not), so with u = 2⁻²⁴ and γₘ = m·u / (1 − m·u) (Higham 2002, §3.1), barring overflow:
//!
//! - `dot`: |computed − ⟨a, b⟩| ≤ γₙ · Σ|aᵢbᵢ| + n·2⁻¹⁴⁹, hence ≤ γₙ · ‖a‖‖b‖ + n·2⁻¹⁴⁹;
//! - `squared_l2`: |computed − ‖a − b‖²| ≤ γₙ₊₃ · ‖a − b‖² + n·2⁻¹⁴⁹ for finite values.
//!
//! The last term is gradual underflow. Instruction sets differ in the last bits of a sum, within
//! these bounds; the bounds, not the bits, are the contract.

/// Evaluates an expression with the instruction set of `$kernels` bound to a name, so that a whole
/// loop is compiled for it.
macro_rules! dispatch {
    ($kernels:expr, $isa:ident => $body:expr) => {
        match $kernels {
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512($isa) => $body,
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx2($isa) => $body,
            #[cfg(target_arch = "aarch64")]
            Kernels::Neon($isa) => $body,
            Kernels::Scalar($isa) => $body,
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_codes;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_codes;
pub mod codes;
mod faiss;
mod lanes;
#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_codes;
pub mod nibbles;
pub mod prefetch;
pub mod scalar;
mod scalar_codes;
#[cfg(test)]
mod tests;

use codes::{BLOCK_ROWS, CodeQuery};

/// An instruction set that this machine has.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Kernels {
    /// 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    /// 256-bit registers with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// 128-bit registers of ARM.
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    /// Plain Rust.
    Scalar(scalar::Scalar),
}

impl Kernels {
    /// The fastest instruction set of this machine. Detection is cached by the standard library.
    pub fn detect() -> Self {
        Self::available().swap_remove(0)
    }

    /// Every instruction set of this machine, fastest first; the last is plain Rust.
    pub fn available() -> Vec<Self> {
        let vector = [
            #[cfg(target_arch = "x86_64")]
            avx512::Avx512::new().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            avx512::Avx512::new().and_then(avx512::Avx512::without_vnni).map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            avx2::Avx2::new().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            neon::Neon::new().map(Self::Neon),
            Some(Self::Scalar(scalar::Scalar::new())),
        ];
        vector.into_iter().flatten().collect()
    }

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(isa) if isa.vnni.is_some() => "avx512vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Scalar(_) => "scalar",
        }
    }

    /// Inner product ⟨a, b⟩; the longer slice is cut to the shorter. O(n).
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        dispatch!(self, isa => isa.dot(a, b))
    }

    /// Squared Euclidean distance ‖a − b‖²; the longer slice is cut to the shorter. O(n).
    pub fn squared_l2(self, a: &[f32], b: &[f32]) -> f32 {
        dispatch!(self, isa => isa.squared_l2(a, b))
    }

    /// `out[i]` = ⟨query, row i⟩ for the rows of `rows` (n × `query.len()`, row-major).
    ///
    /// Writes as many values as `rows` has whole rows and `out` has places; at the speed of
    /// memory for rows that aren't in a cache. O(n · dim).
    pub fn dot_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        dispatch!(self, isa => isa.dot_rows(query, rows, out));
    }

    /// `out[i]` = ‖query − row i‖², otherwise as [`Kernels::dot_rows`].
    pub fn squared_l2_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        dispatch!(self, isa => isa.squared_l2_rows(query, rows, out));
    }

    /// The matrix product `out` (n × m) = `a` (n × `inner`) · `b` (`inner` × m), all row-major; as
    /// many rows as `a` and `out` have whole. O(n · inner · m).
    pub fn matrix_product(self, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
        dispatch!(self, isa => isa.matrix_product(a, b, inner, out));
    }

    /// The squared distances `out` (n × m) of the rows of `a` (n × `inner`) from the columns of `b`
    /// (`inner` × m), otherwise as [`Kernels::matrix_product`].
    pub fn squared_l2_columns(self, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
        dispatch!(self, isa => isa.squared_l2_columns(a, b, inner, out));
    }

    /// Sums of the codes of one block of 16 rows against `Q` queries, and for each query the rows
    /// (bits) that may reach its limit. O(Q · dim).
    pub fn code_block<const Q: usize>(
        self,
        block: &[u8],
        queries: [&CodeQuery; Q],
        limits: [f32; Q],
        sums: &mut [[i32; BLOCK_ROWS]; Q],
    ) -> [u16; Q] {
        dispatch!(self, isa => isa.code_block(block, queries, limits, sums))
    }
}
