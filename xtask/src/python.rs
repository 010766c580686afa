//! Python, for the tests that compare with the real llm and that run FORMAT.md's decoder.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::step::Step;
use crate::workspace;

/// The version of llm whose output ours is compared with, byte for byte.
const LLM: &str = "0.36";

/// Succeeds on Pythons that llm runs on and that can make environments.
const PROBE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))";

/// A Python that is new enough, if there is one.
pub(crate) fn find() -> Option<&'static str> {
    let suits = |name: &&str| Step::new(name).args(["-c", PROBE]).succeeds();
    ["python3", "python"].into_iter().find(suits)
}

/// The llm command, installed on first use into an environment of its own.
pub(crate) fn llm(python: &str) -> Result<PathBuf> {
    let folder = workspace::root().join("target").join("venv-llm");
    let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let llm = programs.join("llm");
    let version = |llm: &PathBuf| Step::new(llm).args(["--version"]).read();
    if llm.exists() && version(&llm).is_ok_and(|version| version.trim().ends_with(LLM)) {
        return Ok(llm);
    }
    Step::new(python).args(["-m", "venv", "--clear"]).args([&folder]).run()?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    Step::new(programs.join("python"))
        .args(install)
        .args([format!("llm=={LLM}")])
        .run()
        .context("llm could not be installed")?;
    Ok(llm)
}
