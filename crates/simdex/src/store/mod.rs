//! Where embeddings live: the rows of a SQLite database.

mod id;

pub use id::Id;
