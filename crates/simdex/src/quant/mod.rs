//! Codes: four bits a dimension, with error bounds that always hold.
//!
//! A row x is centred and rotated, r = Rot(x − μ), and coded by u ∈ [0, 16)ᵈ. With y = u − 7.5 and
//! s = ⟨y, r⟩ / ‖y‖², the decoded x̂ = s·y is the projection of r on y, so the error e = r − x̂ is
//! orthogonal to x̂, and for every query q′
//!
//! |⟨q′, r⟩ − ⟨q′, x̂⟩| ≤ ‖e‖ · √(‖q′‖² − ⟨q′, x̂⟩² / ‖x̂‖²) ≤ ‖e‖ ‖q′‖
//!
//! (Cauchy–Schwarz). The codes are those of extended RaBitQ (Gao et al. 2024, arXiv:2409.09913),
//! whose own bound holds with high probability; this one holds for sure. ‖e‖, ‖x̂‖ and the query's
//! own rounding to eight bits are known and rounded up.

mod encode;
mod layout;
mod query;
mod rotation;

pub(crate) use encode::encode;
pub(crate) use layout::Codes;
pub(crate) use query::CodedQuery;
