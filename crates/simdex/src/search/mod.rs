//! From a query to the k closest rows: exact scores, ranking, merging.

pub mod query;
pub mod score;
