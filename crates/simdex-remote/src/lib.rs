//! Clients of vector engines on other machines, for one purpose: keeping a copy of vectors there in
//! step, and asking which are close. [`chroma`] speaks HTTP, [`pgvector`] Postgres; both are behind
//! the traits [`Server`] and [`Collection`].
//!
//! - Whatever is asked may be asked again: after a failure that may pass (a cut connection, a server
//!   that restarts) every request is repeated, as [`Patience`] says, and leaves what it would have
//!   left if it had been sent once.
//! - Passwords come with [`Address`]es or from files and the environment, and are in no error, no
//!   `Debug` and no log.
//!
//! ```no_run
//! use simdex_remote::{Address, Patience, Query, Record, Server, Space, Spec, chroma::Chroma};
//!
//! # fn main() -> simdex_remote::Result<()> {
//! let address = Address::parse("http://localhost:8000")?;
//! let server = Chroma::new(&address, None, Patience::default())?;
//! let spec = Spec::new("notes", 3, Space::Cosine);
//! let mut notes = server.create(&spec)?;
//! notes.upsert(&[Record::new("a", vec![1.0, 0.0, 0.0]).with_document("the first")])?;
//! notes.finish()?;
//! let found = notes.query(&Query::new(&[vec![1.0, 0.1, 0.0]], 10))?;
//! assert_eq!(found[0][0].id, "a");
//! # Ok(())
//! # }
//! ```

mod address;
pub mod chroma;
mod collection;
mod error;
pub mod pgvector;
mod record;
mod retry;
mod tls;

pub use address::{Address, read_secret};
pub use collection::{Collection, Cursor, Labels, Page, Server, in_batches};
pub use error::{Error, Fault, Result};
pub use record::{Graph, Hit, Metadata, Only, Query, Record, Space, Spec};
pub use retry::Patience;
pub use secrecy::SecretString;
