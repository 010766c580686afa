//! `cargo xtask fixture`: a database and its index in the present format version, for tests of
//! every later simdex.

use anyhow::Result;

use crate::step::Step;

/// Writes it. A released version's fixture is never written again: it is what users have.
pub(crate) fn write() -> Result<()> {
    Step::cargo("test --package simdex --test format --locked -- --ignored --exact write_fixture")
        .run()
}
