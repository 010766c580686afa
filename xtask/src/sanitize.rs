//! `cargo xtask sanitize`: the unsafe code under AddressSanitizer, with every instruction set that
//! this machine has.

use anyhow::{Result, ensure};

use crate::step::Step;

/// What holds `unsafe` code, and what calls it.
const TESTS: [&str; 8] =
    ["kernels", "quant", "matrix", "huge", "snapshot", "bare", "index::flat", "index::graph"];

/// Stable Rust ships the sanitizer, but takes the flag from its own build alone.
const FLAGS: &str = "-Zsanitizer=address -Cdebug-assertions=on";

pub(crate) fn run() -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the sanitizer that Rust ships is tried on Linux alone");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    Step::cargo("test --release --locked --package simdex --lib --target-dir target/sanitize")
        // With a target named, build scripts and macros are built without the flags.
        .args(["--target", &target, "--"])
        .args(TESTS)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        // SQLite is linked once for the library and once for its tests.
        .env("ASAN_OPTIONS", "detect_odr_violation=0")
        .run()
}
