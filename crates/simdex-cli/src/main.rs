//! The simdex command.
#![allow(missing_docs)]
fn main() {}
