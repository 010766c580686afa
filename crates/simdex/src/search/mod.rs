//! From a query to the k closest rows: exact scores, ranking, merging.

pub mod closest;
pub mod filter;
pub mod merge;
pub mod query;
pub mod rerank;
pub mod score;
pub mod topk;
pub(crate) mod wear;
