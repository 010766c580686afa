//! Fresh, exact, fast similarity search over embeddings that live in SQLite.
//!
//! ```text
//! store ──> snapshot ──> index ──> search ──> engine ──> front ends
//! rows      immutable    rows that exact      open, build,
//! in SQLite copies       may match scores     search, verify
//! ```
//!
//! [`Engine`] is what front ends call; [`Flat`] and [`Graph`] are its indexes over vectors without a
//! database.
//!
//! ```
//! use simdex::engine::api::*;
//! use simdex::observe::Silent;
//! use simdex::{Engine, Metric};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let database = folder.path().join("shop.db");
//! let blob = |values: [f32; 2]| values.map(f32::to_le_bytes).concat();
//! let db = rusqlite::Connection::open(&database)?;
//! db.execute_batch("create table products (id integer primary key, embedding blob)")?;
//! for values in [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]] {
//!     db.execute("insert into products (embedding) values (?)", [blob(values)])?;
//! }
//!
//! let engine = Engine::open(Location { database, index_dir: None })?;
//! engine.define(NewIndex {
//!     name: "shop".into(),
//!     sources: vec![NewSource::Table {
//!         table: "products".into(),
//!         id_column: None,
//!         embedding_column: None,
//!         filter: None,
//!     }],
//!     kind: None,
//!     metric: Some(Metric::Cosine),
//!     parameters: Default::default(),
//!     default: MakeDefault::IfNone,
//!     models: ModelRule::Same,
//! })?;
//! engine.build("shop", &Silent)?;
//!
//! // Rows written after the build are found too.
//! db.execute("insert into products (embedding) values (?)", [blob([1.0, 0.1])])?;
//! let request = SearchRequest {
//!     target: Target::Index("shop".into()),
//!     by: QueryBy::Id { source: None, id: "1".into() },
//!     number: Number::AtMost(2),
//!     filter: Filter::default(),
//!     content: Content::Omit,
//! };
//! let answer = engine.search(&request, &Silent)?;
//! let found: Vec<String> = answer.matches.iter().map(|row| row.id.to_string()).collect();
//! assert_eq!(found, ["4", "2"]);
//! # Ok(())
//! # }
//! ```

pub mod bare;
pub mod catalog;
pub mod compare;
pub mod engine;
pub mod error;
mod huge;
pub mod index;
pub mod kernels;
pub mod matrix;
pub mod observe;
mod quant;
pub mod search;
pub mod settings;
pub mod snapshot;
pub mod store;
pub mod types;

pub use bare::{Flat, Graph, Vectors};
pub use engine::Engine;
pub use error::{Context, Error, ErrorKind, Result};
pub use types::{Hit, Metric};
