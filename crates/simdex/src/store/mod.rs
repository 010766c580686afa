//! Where embeddings live: the rows of a SQLite database.

pub mod blob;
pub mod connection;
pub mod database;
mod id;
pub mod identity;
pub mod native;
pub mod source;

pub use id::Id;
