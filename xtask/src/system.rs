//! What tests need of the system and pip can't bring: looked for, and installed where we may.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::step::{Log, Step};

/// Something of the system's that a test needs.
struct Need {
    /// The test without it.
    test: &'static str,
    /// Its packages on Debian and its kin.
    packages: &'static [&'static str],
    /// Whether it is there; asked with a Python at hand.
    is_there: fn(python: &str) -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        test: "Datasette's pages in a browser",
        packages: &["chromium"],
        is_there: |_| BROWSERS.iter().any(|name| Step::new(name).args(["--version"]).succeeds()),
    },
    Need {
        test: "the index plugin sqlite-vss",
        packages: &["libblas3", "liblapack3"],
        is_there: |python| Step::new(python).args(["-c", BLAS]).succeeds(),
    },
];

/// The programs that tests/python/datasette/browser.py looks for.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Succeeds where sqlite-vss can be loaded, as tests/python/plugins has it.
const BLAS: &str = "
import ctypes, sys
for name in ['libblas.so.3', 'liblapack.so.3'] if sys.platform == 'linux' else []:
    ctypes.CDLL(name)
";

/// Sees that everything is there, or notes what is left out without it.
pub(crate) fn provide(python: &str, log: &mut Log) -> Result<()> {
    for need in NEEDS {
        if (need.is_there)(python) {
            continue;
        }
        let packages = need.packages.join(" ");
        if let Err(why) = install(need.packages) {
            log.left_out(need.test, &format!("{packages} can't be installed here: {why:#}"))?;
        } else if !(need.is_there)(python) {
            log.left_out(need.test, &format!("it can't be run with {packages} installed"))?;
        }
    }
    Ok(())
}

/// The folder with the programs of a Postgres that knows TLS: that of the system. The one that pip
/// brings was built without.
pub(crate) fn postgres() -> Result<PathBuf> {
    if let Some(folder) = postgres_with_tls() {
        return Ok(folder);
    }
    install(&["postgresql"])?;
    postgres_with_tls().context("the system's Postgres was built without TLS")
}

fn postgres_with_tls() -> Option<PathBuf> {
    let pg_config = |program: PathBuf| {
        let told = Step::new(&program).args(["--configure"]).read().ok()?;
        let tls = told.contains("--with-openssl") || told.contains("--with-ssl");
        let folder = Step::new(&program).args(["--bindir"]).read().ok().filter(|_| tls)?;
        Some(PathBuf::from(folder.trim())).filter(|folder| folder.join("initdb").exists())
    };
    // Debian keeps servers of several versions apart.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let of_versions = versions.map(|version| version.path().join("bin").join("pg_config"));
    std::iter::once(PathBuf::from("pg_config")).chain(of_versions).find_map(pg_config)
}

fn install(packages: &[&str]) -> Result<()> {
    anyhow::ensure!(Step::new("apt-get").args(["--version"]).succeeds(), "there is no apt-get");
    anyhow::ensure!(is_root(), "only root may");
    Step::new("apt-get").args(["update", "--quiet"]).run()?;
    Step::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--quiet", "--yes", "--no-install-recommends"])
        .args(packages)
        .run()
}

fn is_root() -> bool {
    Step::new("id").args(["-u"]).read().is_ok_and(|user| user.trim() == "0")
}
