//! The words every room shares: metric, key, neighbour, and the score convention (stated once, here).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// How closeness is measured. The value a search reports is the *score*:
///
/// | metric | score | closer is | range |
/// |---|---|---|---|
/// | `Cosine` | dot(x, q) / (‖x‖ ‖q‖) | higher | −1 … 1 |
/// | `L2` | ‖x − q‖², squared and not rooted | lower | 0 … |
/// | `Dot` | dot(x, q) | higher | any |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Cosine similarity; a zero vector has none and can't be searched.
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// Inner product.
    Dot,
}

impl Metric {
    /// Every metric, in the order of the help text.
    pub const ALL: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

    /// The name used on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::Dot => "dot",
        }
    }

    /// Orders scores from closest to farthest: `Less` means `a` is closer than `b`. −0 equals 0.
    pub fn closer_first(self, a: f64, b: f64) -> Ordering {
        let (a, b) = (a + 0.0, b + 0.0);
        match self {
            Metric::L2 => a.total_cmp(&b),
            Metric::Cosine | Metric::Dot => b.total_cmp(&a),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Metric::ALL.into_iter().find(|metric| metric.name() == text).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("unknown metric `{text}`"))
                .hint("use cosine, l2 or dot")
        })
    }
}

/// A numbered row that is close to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Row number in the vectors the index was built from.
    pub row: u32,
    /// Score under the index's [`Metric`], computed in float64 from the stored float32 values.
    pub score: f64,
}

/// A vector of an index over bare vectors that is close to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The vector's id: as given, or its row number.
    pub id: u64,
    /// Score under the index's [`Metric`], computed in float64 from the stored float32 values.
    pub score: f64,
}
