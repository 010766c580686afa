//! Where embeddings live: the rows of a SQLite database.

pub mod blob;
pub mod database;
mod id;
pub mod identity;
pub mod source;

pub use id::Id;
