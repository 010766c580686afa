//! `cargo xtask fuzz`: libFuzzer on stable Rust, without cargo-fuzz.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::step::Step;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Targets to run; all of them when none is named
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// What cargo-fuzz passes too, short of the sanitizers that only nightly Rust has: the compiler
/// counts the edges it takes and shows the fuzzer what is compared with what.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const PACKAGE: &str = "--manifest-path fuzz/Cargo.toml --locked --release";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(reason) = obstacle() {
        bail!("fuzzing needs another machine: {reason}");
    }
    targets(&arguments.targets, arguments.seconds)
}

/// Why this machine can't fuzz, if it can't.
pub(crate) fn obstacle() -> Option<&'static str> {
    if cfg!(windows) {
        return Some("libFuzzer is built for Linux and macOS here");
    }
    let set = std::env::var("CXX").ok();
    let compilers = set.as_deref().into_iter().chain(["c++", "g++", "clang++"]);
    let found = compilers.into_iter().any(|name| Step::new(name).args(["--version"]).succeeds());
    (!found).then_some("libFuzzer needs a C++ compiler, and none was found")
}

/// Formatting and lints of the fuzz targets, which are a workspace of their own.
pub(crate) fn lint() -> Result<()> {
    Step::cargo("fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    instrumented("clippy")?.args(["--all-targets", "--", "-D", "warnings"]).run()
}

/// Builds and runs the named targets, or all.
pub(crate) fn targets(named: &[String], seconds: u32) -> Result<()> {
    let known = names()?;
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        bail!("there is no fuzz target `{unknown}`; there are: {}", known.join(", "));
    }
    instrumented("build")?.run()?;
    let chosen = if named.is_empty() { &known } else { named };
    chosen.iter().try_for_each(|name| fuzz(name, seconds))
}

/// The targets: one file each.
fn names() -> Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

/// A Cargo command on the targets with [`FLAGS`]; a target is named so that they don't reach build
/// scripts.
fn instrumented(command: &str) -> Result<Step> {
    let step = Step::cargo(&format!("{command} {PACKAGE}")).args(["--target", &host()?]);
    Ok(step.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", "fuzz/target"))
}

fn host() -> Result<String> {
    let version = Step::new("rustc").args(["-vV"]).read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}

/// Runs one target: from its seeds, which it writes itself, and what earlier runs found.
fn fuzz(name: &str, seconds: u32) -> Result<()> {
    let [corpus, seeds, artifacts] =
        ["corpus", "target/seeds", "artifacts"].map(|part| folder().join(part).join(name));
    for folder in [&corpus, &seeds, &artifacts] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let program = folder().join("target").join(host()?).join("release").join(name);
    let talk = Step::new(program)
        .args([&corpus, &seeds])
        .args([
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", artifacts.display()),
        ])
        .args(["-timeout=10", "-rss_limit_mb=2048"])
        .env("SIMDEX_FUZZ_SEEDS", &seeds)
        .run_quietly()?;
    let done = talk.lines().find(|line| line.starts_with("Done "));
    println!("{name}: {}", done.unwrap_or("done"));
    Ok(())
}
