//! Plugins: kinds of index that are programs of their own, in any language.
//!
//! A plugin is a program `simdex-index-NAME`. simdex starts it, speaks JSON-RPC with it over its
//! standard input and output (`PLUGINS.md`), and hands vectors over as ranges of files. It only
//! proposes row numbers: whatever it answers, scores are ours. One that is missing, hangs, dies or
//! answers nonsense costs an error of kind `Plugin`, and the search falls back to an exact one.

mod call;
pub mod conformance;
mod files;
mod kept;
mod kind;
mod named;
mod numbers;
mod opened;
mod process;
mod registry;
mod release;
mod scratch;
mod update;

pub use kind::Plugin;
pub use process::Limits;
pub use registry::{Installed, Origin, PREFIX, Plugins};
pub use simdex_plugin::{Description, OptionKind, OptionSpec};
