//! From a target recall to the width of the walk.

use serde::{Deserialize, Serialize};

/// What was measured on sampled queries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Curve {
    pub(super) points: Vec<Point>,
}

/// Recall and cost at one width.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) width: usize,
    pub(super) recall: f64,
    pub(super) distances: f64,
}
