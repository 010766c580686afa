//! Fresh, exact, fast similarity search over embeddings that live in SQLite.

pub mod bare;
pub mod catalog;
pub mod compare;
pub mod engine;
pub mod error;
pub mod index;
pub mod kernels;
pub mod matrix;
pub mod observe;
mod quant;
pub mod search;
pub mod snapshot;
pub mod store;
pub mod types;

pub use bare::Flat;
pub use engine::Engine;
pub use error::{Context, Error, ErrorKind, Result};
pub use types::{Metric, Neighbor};
