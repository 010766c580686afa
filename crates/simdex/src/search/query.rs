//! A query vector, prepared once for a metric.

use crate::error::{Error, ErrorKind, Result};
use crate::kernels::Kernels;
use crate::search::score::root;
use crate::types::Metric;

/// A query: its values in float64 as given (exact scores use these) and in float32 (kernels use these).
#[derive(Debug, Clone)]
pub struct Query {
    metric: Metric,
    exact: Vec<f64>,
    rounded: Vec<f32>,
    norm: f64,
}

impl Query {
    /// Prepares `vector` for searches under `metric`.
    ///
    /// # Errors
    /// `Invalid` when it is empty, not finite in float32, or, under cosine, zero.
    pub fn new(vector: &[f64], metric: Metric) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        if vector.is_empty() {
            return invalid("the query vector is empty".into());
        }
        let rounded: Vec<f32> = vector.iter().map(|&value| value as f32).collect();
        if let Some(at) = rounded.iter().position(|value| !value.is_finite()) {
            return invalid(format!(
                "value {at} of the query vector is {}, not a finite float32",
                vector[at]
            ));
        }
        let norm = root(vector.iter().map(|value| value * value).sum());
        if metric == Metric::Cosine && norm == 0.0 {
            return invalid(
                "the query vector is zero, which has no cosine similarity to anything".into(),
            );
        }
        Ok(Self { metric, exact: vector.to_vec(), rounded, norm })
    }

    /// Prepares a stored float32 vector.
    ///
    /// # Errors
    /// As [`Query::new`].
    pub fn from_f32(vector: &[f32], metric: Metric) -> Result<Self> {
        let vector: Vec<f64> = vector.iter().copied().map(f64::from).collect();
        Self::new(&vector, metric)
    }

    /// The metric it was prepared for.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Number of dimensions.
    pub fn dim(&self) -> usize {
        self.exact.len()
    }

    /// The values as given.
    pub fn exact(&self) -> &[f64] {
        &self.exact
    }

    /// The values rounded to float32.
    pub fn rounded(&self) -> &[f32] {
        &self.rounded
    }

    /// Squared L2 distance with the digits of faiss (see [`Kernels::squared_l2_of_faiss`]), widened;
    /// in float64 where float32 overflows. O(dim).
    pub fn distance_of_faiss(&self, kernels: Kernels, row: &[f32]) -> f64 {
        let distance = kernels.squared_l2_of_faiss(&self.rounded, row);
        if distance.is_finite() {
            return f64::from(distance);
        }
        let differences = self.exact.iter().zip(row).map(|(q, &x)| f64::from(x) - q);
        differences.map(|difference| difference * difference).sum()
    }

    /// Euclidean length, in float64.
    pub fn norm(&self) -> f64 {
        self.norm
    }
}
