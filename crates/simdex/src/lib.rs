//! Fresh, exact, fast similarity search over embeddings that live in SQLite.

pub mod bare;
pub mod error;
pub mod index;
pub mod kernels;
pub mod matrix;
pub mod observe;
mod quant;
pub mod search;
pub mod types;

pub use bare::Flat;
pub use error::{Context, Error, ErrorKind, Result};
pub use types::{Metric, Neighbor};
