//! An index plugin for simdex is a program named `simdex-index-NAME`, in any language, that
//! proposes which rows may be close to a query. This crate has the messages of the protocol
//! (`PLUGINS.md` in simdex's repository) and, for plugins in Rust, a server behind a trait:
//!
//! ```
//! use simdex_plugin::{Changes, Description, Failure, Metric, Plugin, Settings, Vectors};
//!
//! /// Proposes the first rows, whatever the query.
//! #[derive(Default)]
//! struct First {
//!     rows: usize,
//! }
//!
//! impl Plugin for First {
//!     fn describe(&self) -> Description {
//!         Description::new("first", "0.1.0", "the first rows, whatever the query", Metric::ALL)
//!     }
//!
//!     fn build(&mut self, rows: Vectors<'_>, _: &Settings) -> Result<(), Failure> {
//!         self.rows = rows.len();
//!         Ok(())
//!     }
//!
//!     fn search(&mut self, queries: Vectors<'_>, k: usize) -> Result<Vec<Vec<u32>>, Failure> {
//!         let first: Vec<u32> = (0..self.rows.min(k) as u32).collect();
//!         Ok(queries.iter().map(|_| first.clone()).collect())
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! # let serve = |plugin: &mut First| simdex_plugin::serve_lines(plugin, &b""[..], Vec::new());
//! // In `main`: simdex_plugin::serve(&mut First::default())
//! serve(&mut First::default())
//! # }
//! ```

mod array;
mod description;
mod protocol;
mod server;

pub use array::{Array, ElementType, Mapped, RowSet, Vectors};
pub use description::{Description, OptionKind, OptionSpec};
pub use protocol::{
    ApplyParams, BuildParams, Call, Code, DescribeParams, DropParams, Found, Metric, OpenParams,
    PROTOCOL, Progress, Reply, Request, RpcError, SearchParams, Version,
};
pub use server::{Changes, Dropped, Failure, Plugin, Settings, serve, serve_lines};
