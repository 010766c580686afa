//! `cargo xtask bench peers`: simdex beside other libraries, on the same vectors and threads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::step::Step;
use crate::workspace;

/// Succeeds on the Python for which every peer has a wheel, if it can make environments.
const PROBE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 12))";

#[derive(Args)]
pub(crate) struct Arguments {
    /// 5,000 rows: shows that everything runs, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Rows to search, .npy [default: synthetic clusters of 1,536 dimensions]
    #[arg(long, requires = "queries")]
    base: Option<PathBuf>,
    /// Queries, .npy
    #[arg(long, requires = "base")]
    queries: Option<PathBuf>,
    /// More of bench/run.py's options, such as --only simdex,hnswlib
    #[arg(last = true)]
    more: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let python = environment()?;
    Step::cargo("build --release --locked --bin simdex").run()?;
    let (base, queries) = match (&arguments.base, &arguments.queries) {
        (Some(base), Some(queries)) => (std::path::absolute(base)?, std::path::absolute(queries)?),
        _ => synthetic(&python, arguments.quick)?,
    };
    let mut bench = Step::new(python).args(["bench/run.py"]);
    bench = bench.args(["--base"]).args([base]).args(["--queries"]).args([queries]);
    if arguments.quick {
        bench = bench.args(["--quick"]);
    }
    bench.args(&arguments.more).run()
}

/// The Python of `bench/.venv`, with the peers installed.
fn environment() -> Result<PathBuf> {
    let folder = workspace::root().join("bench").join(".venv");
    let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let python = programs.join("python");
    if !Step::new(&python).args(["-c", PROBE]).succeeds() {
        Step::new(find()?).args(["-m", "venv", "--clear"]).args([&folder]).run()?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    Step::new(&python)
        .args(install)
        .args(["-r", "bench/requirements.txt"])
        .run()
        .context("the peers could not be installed")?;
    Ok(python)
}

/// The Python that `SIMDEX_BENCH_PYTHON` names, or the first that suits.
fn find() -> Result<String> {
    if let Ok(named) = std::env::var("SIMDEX_BENCH_PYTHON") {
        return Ok(named);
    }
    let suits = |name: &&str| Step::new(name).args(["-c", PROBE]).succeeds();
    let found = ["python3.12", "python3", "python"].into_iter().find(suits);
    let found = found.context("no Python 3.12 was found; name one with SIMDEX_BENCH_PYTHON")?;
    Ok(found.to_owned())
}

/// Vectors made up on the spot, for those who have none at hand.
fn synthetic(python: &Path, quick: bool) -> Result<(PathBuf, PathBuf)> {
    let (rows, folder) = (if quick { "5000" } else { "100000" }, "target/bench-data");
    let make = ["bench/data.py", "clustered-1536", "--rows", rows, "--out", folder];
    Step::new(python).args(make).run()?;
    let stem = workspace::root().join(folder).join(format!("clustered-1536-{rows}-seed1"));
    let file = |suffix: &str| PathBuf::from(format!("{}{suffix}", stem.display()));
    Ok((file(".npy"), file("-queries.npy")))
}
