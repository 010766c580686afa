//! Engines on other machines: kinds whose structure is a collection on a server.
//!
//! The server holds a copy of the vectors, each under an id that its bytes decide (`ids.rs`); keys,
//! texts and the vectors that scores come from stay here. Building brings the copy in step, and the
//! same work continues one that was cut (`sync.rs`). Searches ask the server which rows are close;
//! where it fails, they compare all rows, or fail if the user wants that (`opened.rs`). Opening an
//! index touches no network.

mod attended;
mod chroma;
mod ids;
mod kind;
mod opened;
mod pgvector;
mod place;
mod sync;

use crate::error::{Error, ErrorKind};
use crate::index::Kind;

/// Every kind of this sort, in the order they are offered.
pub const REMOTE: &[&dyn Kind] =
    &[&kind::Remote(&chroma::ENGINE), &kind::Remote(&pgvector::ENGINE)];

/// An error of a server as one of ours.
fn failure(error: &simdex_remote::Error) -> Error {
    let kind = match error.fault() {
        simdex_remote::Fault::Invalid => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let ours = Error::new(kind, error.to_string());
    match error.next_step() {
        Some(hint) => ours.hint(hint),
        None => ours,
    }
}
