//! `cargo xtask bench kinds`: every kind of index that there is, through `simdex compare`, on one
//! thread: built in, plugins, and servers, which are started for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use num_format::{Locale, ToFormattedString as _};
use serde::Deserialize;

use crate::bench::machine;
use crate::python::{self, Profile};
use crate::servers::{ChromaServer, PostgresServer};
use crate::step::Step;
use crate::workspace;

/// What is tried, beside plugins that are installed and not in the list, which are tried as they are.
/// A server that fails is not to be measured as a scan of all rows.
const TRIES: &[&str] = &[
    "flat",
    "graph",
    "graph:recall=0.99",
    "hnswlib:ef=50",
    "hnswlib:ef=200",
    "usearch:expansion_search=64",
    "qdrant-edge:ef=64",
    "faiss:factory=IVF1024,Flat,nprobe=64",
    "numpy-matrix",
    "sqlite-vec",
    "chroma:on-failure=error",
    "pgvector:on-failure=error",
];

/// Kinds that are tried where their server could be started: they need one.
const SERVED: [&str; 2] = ["chroma", "pgvector"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// A database in llm's schema [default: one of made-up rows of 384 dimensions]
    #[arg(long, value_name = "PATH", requires = "collection")]
    database: Option<PathBuf>,
    /// The collection whose rows are indexed
    #[arg(long, value_name = "NAME", requires = "database")]
    collection: Option<String>,
    /// Rows to make up
    #[arg(long, default_value_t = 100_000, conflicts_with = "database")]
    rows: u32,
    /// Rows held out as queries
    #[arg(long, default_value_t = 500)]
    queries: u32,
    /// Kinds to measure, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    only: Vec<String>,
}

/// What contenders need around them.
#[derive(Default)]
struct Around {
    /// The folder with the programs of plugins.
    plugins: Option<PathBuf>,
    /// Variables that say where servers are.
    variables: Vec<(&'static str, String)>,
    chroma: Option<ChromaServer>,
    postgres: Option<PostgresServer>,
}

/// One line of what `simdex compare --json` prints.
#[derive(Deserialize)]
struct Report {
    rows: u64,
    dimensions: u64,
    queries: u64,
    points: Vec<Point>,
    notices: Vec<String>,
}

#[derive(Deserialize)]
struct Point {
    build_seconds: f64,
    bytes: u64,
    recall: f64,
    queries_per_second: f64,
    batch_queries_per_second: f64,
}

/// A plugin, as `simdex plugin list --json` has it.
#[derive(Deserialize)]
struct Listed {
    name: String,
    error: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    Step::cargo("build --release --locked --bin simdex").run()?;
    Step::cargo("build --release --locked --package simdex --examples").run()?;
    let folder = tempfile::tempdir_in(workspace::built())?;
    let (database, collection) = subject(arguments, folder.path())?;
    let around = Around::new(arguments)?;
    let mut left_out = Vec::new();
    let mut lines = Vec::new();
    let mut about = None;
    for contender in contenders(arguments, &around)? {
        let name = contender.split(':').next().unwrap_or_default();
        if SERVED.contains(&name) && !around.serves(name) {
            left_out.push(format!("{contender}: no server could be started"));
            continue;
        }
        let queries = arguments.queries.to_string();
        let compare = around.simdex(["compare", &collection, "--database"]).args([&database]);
        let options = ["--queries", &queries, "--threads", "1", "--json", "--try", &contender];
        println!("\nmeasuring {contender}");
        match compare.args(options).read() {
            Ok(json) => {
                let report: Report = serde_json::from_str(&json).context("what compare printed")?;
                left_out.extend(report.notices.iter().map(|said| format!("{contender}: {said}")));
                let measured = report.points.first().map(|point| line(&contender, point));
                // At once, too: the next may take for ever.
                measured.iter().for_each(|line| println!("{line}"));
                lines.extend(measured);
                about = Some((report.rows, report.dimensions, report.queries));
            }
            Err(error) => left_out.push(format!("{contender}: {error:#}")),
        }
    }
    let Some((rows, dimensions, queries)) = about else {
        bail!("nothing could be measured:\n{}", left_out.join("\n"));
    };
    println!("\nmachine: {}", machine());
    println!(
        "{rows} rows of {dimensions} dimensions, {queries} others as queries for 10; one thread of \
         simdex, servers as they are\n"
    );
    println!(
        "| kind | build | beside the vectors | recall@10 | one by one, queries/s | in a batch, queries/s |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    println!("{}", lines.join("\n"));
    println!("\nOf servers, what is on this side's disk.");
    if !left_out.is_empty() {
        println!("\nleft out, or said:\n{}", left_out.join("\n"));
    }
    Ok(())
}

/// A copy of the database, so that no index of the user's takes part, and the collection.
fn subject(arguments: &Arguments, folder: &Path) -> Result<(PathBuf, String)> {
    let database = folder.join("embeddings.db");
    if let (Some(given), Some(collection)) = (&arguments.database, &arguments.collection) {
        std::fs::copy(given, &database).with_context(|| format!("{}", given.display()))?;
        return Ok((database, collection.clone()));
    }
    let make = workspace::built().join("release/examples/make_database");
    let rows = arguments.rows.to_string();
    Step::new(make).args([&database]).args([rows.as_str(), "384"]).run()?;
    Ok((database, "made-up".into()))
}

/// What is measured, in the order of the table.
fn contenders(arguments: &Arguments, around: &Around) -> Result<Vec<String>> {
    let kind = |tried: &str| tried.split(':').next().unwrap_or_default().to_owned();
    let listed = around.simdex(["plugin", "list", "--json"]).read()?;
    let listed: Vec<Listed> = serde_json::from_str(&listed).context("what plugin list printed")?;
    let more = listed.into_iter().filter(|plugin| plugin.error.is_none()).map(|plugin| plugin.name);
    let known: Vec<_> = TRIES.iter().map(|tried| kind(tried)).collect();
    let more = more.filter(|name| !known.contains(name));
    let all = TRIES.iter().map(ToString::to_string).chain(more);
    let wanted =
        |tried: &String| arguments.only.is_empty() || arguments.only.contains(&kind(tried));
    Ok(all.filter(wanted).collect())
}

impl Around {
    fn new(arguments: &Arguments) -> Result<Self> {
        let mut around = Self::default();
        let Some(python) = python::find() else {
            println!("\nno Python 3.10 or later was found: plugins and servers are left out");
            return Ok(around);
        };
        let wanted =
            |kind: &str| arguments.only.is_empty() || arguments.only.iter().any(|k| k == kind);
        let built_in = ["flat", "graph", "chroma", "pgvector"];
        let any_plugin = arguments.only.is_empty()
            || arguments.only.iter().any(|kind| !built_in.contains(&kind.as_str()));
        if any_plugin {
            let environment = python::plugins(python)?;
            environment.install_wheel(&python::wheel(python, Profile::Release)?)?;
            around.plugins = Some(environment.programs().to_owned());
        }
        if wanted("chroma") {
            let server = ChromaServer::of(python::chroma(python)?);
            around.variables.push(("SIMDEX_CHROMA_URL", server.url()));
            around.chroma = Some(server);
        }
        if wanted("pgvector") {
            let server = PostgresServer::of(python::postgres(python)?);
            around.variables.push(("SIMDEX_PGVECTOR_URL", server.url()));
            around.postgres = Some(server);
        }
        Ok(around)
    }

    fn serves(&self, kind: &str) -> bool {
        match kind {
            "chroma" => self.chroma.is_some(),
            _ => self.postgres.is_some(),
        }
    }

    /// simdex among all that it may need.
    fn simdex<const N: usize>(&self, arguments: [&str; N]) -> Step {
        let simdex = workspace::built().join("release/simdex");
        let mut step = Step::new(simdex).args(arguments);
        if let Some(folder) = &self.plugins {
            step = step.env("SIMDEX_PLUGIN_PATH", folder);
        }
        for (name, value) in &self.variables {
            step = step.env(name, value);
        }
        step
    }
}

/// A line of the table.
fn line(contender: &str, point: &Point) -> String {
    let settings = contender.split_once(':').map_or("", |(_, settings)| settings);
    let settings: Vec<_> =
        settings.split(',').filter(|set| !set.is_empty() && !set.starts_with("on-")).collect();
    let kind = contender.split(':').next().unwrap_or_default();
    let name = match settings.as_slice() {
        [] => format!("`{kind}`"),
        some => format!("`{kind}`, {}", some.join(" ")),
    };
    let seconds = match point.build_seconds {
        long if long >= 10.0 => format!("{long:.0} s"),
        short => format!("{short:.1} s"),
    };
    let megabytes = point.bytes as f64 / 1e6;
    format!(
        "| {name} | {seconds} | {megabytes:.1} MB | {:.3} | {} | {} |",
        point.recall,
        thousands(point.queries_per_second),
        thousands(point.batch_queries_per_second)
    )
}

/// A whole number with commas.
fn thousands(number: f64) -> String {
    (number.round() as u64).to_formatted_string(&Locale::en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_set() {
        let point = Point {
            build_seconds: 57.6,
            bytes: 168_400_000,
            recall: 0.94901,
            queries_per_second: 2043.4,
            batch_queries_per_second: 1_234_567.0,
        };
        let told = "| 58 s | 168.4 MB | 0.949 | 2,043 | 1,234,567 |";
        for (contender, name) in [
            ("flat", "`flat`"),
            ("faiss:factory=IVF1024,Flat,nprobe=64", "`faiss`, factory=IVF1024 Flat nprobe=64"),
            ("chroma:on-failure=error", "`chroma`"),
        ] {
            assert_eq!(line(contender, &point), format!("| {name} {told}"));
        }
    }
}
