//! Carries collections of embeddings out of SQLite, into files and other stores, and back.
//!
//! ```text
//! a collection ──> Target: parquet · npy · fvecs · servers        the database is only read
//! a file ──> a collection in llm's schema                         one transaction
//! a collection ──> a table of each row's nearest, kept in step    one transaction
//! ```
//!
//! Rows pass through one by one, so memory doesn't grow with them. What can't be carried is counted
//! and named ([`tally`]); what was written is read back and compared.

mod digest;
pub mod export;
pub mod files;
pub mod import;
pub mod llm;
pub mod npy;
pub mod related;
#[cfg(feature = "servers")]
pub mod server;
pub mod tally;
