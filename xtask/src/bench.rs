//! `cargo xtask bench`: the engine's own figures, as ratios, with the machine named.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::step::Step;
use crate::{kinds, peers, python, workspace};

/// What to measure on.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// A database in llm's schema [default: one of 100,000 made-up rows of 384 dimensions]
    #[arg(long, value_name = "PATH", requires = "collection", requires = "id")]
    database: Option<PathBuf>,
    /// The collection to search
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// The row to compare with
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Vectors for the bare index, an .npy file [default: made-up ones without any structure]
    #[arg(long, value_name = "NPY", requires = "queries")]
    vectors: Option<String>,
    /// Queries for the bare index, an .npy file
    #[arg(long, value_name = "NPY")]
    queries: Option<String>,
    /// Leave the comparison with llm out; it takes some 10 seconds a search
    #[arg(long)]
    without_llm: bool,
}

/// Measurements of another make.
#[derive(clap::Subcommand)]
enum Other {
    /// Measures simdex beside other libraries, on the same vectors and threads
    Peers(peers::Arguments),
    /// Measures every kind of index through `simdex compare`: built in, plugins, servers
    Kinds(kinds::Arguments),
}

/// The rows searched.
struct Subject {
    /// A copy of our own.
    database: PathBuf,
    collection: String,
    id: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.other {
        Some(Other::Peers(arguments)) => return peers::run(arguments),
        Some(Other::Kinds(arguments)) => return kinds::run(arguments),
        None => {}
    }
    Step::cargo("build --release --locked --bin simdex").run()?;
    Step::cargo("build --release --locked --package simdex --examples").run()?;
    let folder = tempfile::tempdir_in(workspace::built())?;
    let subject = Subject::make(arguments, folder.path())?;
    println!("\nmachine: {}", machine());
    println!("\nin the library, on the database:");
    print!("{}", example("database_figures", &subject.arguments())?);
    println!("\nin the library, one thread, on the vectors alone:");
    let bare = match (&arguments.vectors, &arguments.queries) {
        (Some(vectors), Some(queries)) => [vectors.as_str(), queries],
        _ => ["gaussian", "384"],
    };
    print!("{}", example("flat_figures", &bare)?);
    println!("\nwhole processes:");
    processes(&subject, arguments)
}

impl Subject {
    fn make(arguments: &Arguments, folder: &Path) -> Result<Self> {
        let database = folder.join("embeddings.db");
        if let (Some(given), Some(collection), Some(id)) =
            (&arguments.database, &arguments.collection, &arguments.id)
        {
            std::fs::copy(given, &database).with_context(|| format!("{}", given.display()))?;
            return Ok(Self { database, collection: collection.clone(), id: id.clone() });
        }
        let path = database.display().to_string();
        example("make_database", &[path.as_str(), "100000", "384"])?;
        Ok(Self { database, collection: "made-up".into(), id: "row-4242".into() })
    }

    fn path(&self) -> &str {
        self.database.to_str().unwrap_or_default()
    }

    fn arguments(&self) -> [&str; 3] {
        [self.path(), &self.collection, &self.id]
    }
}

fn example(name: &str, arguments: &[&str]) -> Result<String> {
    let program = workspace::built().join("release/examples").join(name);
    let output = Command::new(&program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| program.display().to_string())?;
    if !output.status.success() {
        bail!("{name} failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn processes(subject: &Subject, arguments: &Arguments) -> Result<()> {
    let simdex = workspace::built().join("release/simdex");
    let search = ["similar", &subject.collection, &subject.id, "--database", subject.path()]
        .map(String::from);
    let without = best_of(5, &simdex, &search)?;
    println!("simdex similar, no index            {:9.2} ms", without * 1e3);
    let create = ["index", "create", "bench", "-c", &subject.collection, "-d", subject.path()];
    let build = best_of(1, &simdex, &create.map(String::from))?;
    println!("simdex index create (with build)    {:9.2} ms", build * 1e3);
    let with = best_of(30, &simdex, &search)?;
    println!("simdex similar, through the index   {:9.2} ms", with * 1e3);
    if arguments.without_llm {
        return Ok(());
    }
    let Some(llm) = python::find().map(python::llm).transpose()? else {
        println!("llm similar: left out, no Python 3.10 or later was found");
        return Ok(());
    };
    let slow = best_of(3, &llm, &search)?;
    println!("llm similar                         {:9.2} ms", slow * 1e3);
    println!("llm : simdex                        {:9.0} ×", slow / with);
    println!("llm : simdex without an index       {:9.0} ×", slow / without);
    Ok(())
}

/// Seconds of the fastest run.
fn best_of(runs: usize, program: &Path, arguments: &[String]) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        let mut command = Command::new(program);
        let status =
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        best = best.min(start.elapsed().as_secs_f64());
        if !status.success() {
            bail!("{} {} failed", program.display(), arguments.join(" "));
        }
    }
    Ok(best)
}

/// The processor, as the system names it, and the number of its cores.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = std::env::consts::OS;
    format!("{}, {cores} cores, {system}", name.unwrap_or(std::env::consts::ARCH))
}
