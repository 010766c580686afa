//! `cargo xtask test`: every lint and test, in the order in which they fail fastest.

use std::path::PathBuf;

use anyhow::Result;

use crate::step::{Log, Step};
use crate::{docs, fuzz, python, system};

/// How long each fuzz target runs here; `cargo xtask fuzz` runs longer.
const FUZZ_SECONDS: u32 = 10;

/// What can be asked for by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Formatting, clippy and the documentation's links
    Lints,
    /// The tests written in Rust
    Rust,
    /// The wheel, in the hosts of its plugins
    Python,
    /// Generated documents are as generated
    Docs,
    /// A short attack on the readers of untrusted bytes
    Fuzz,
}

type Run = fn(&mut Log) -> Result<()>;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these parts
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut log = Log::default();
    let parts: &[(Part, Run)] = &[
        (Part::Lints, lints),
        (Part::Rust, tests),
        (Part::Python, package),
        (Part::Docs, |log| log.part("generated documents", docs::check)),
        (Part::Fuzz, fuzz),
    ];
    for (part, run) in parts {
        if arguments.parts.is_empty() || arguments.parts.contains(part) {
            run(&mut log)?;
        }
    }
    log.print();
    println!("everything passed");
    Ok(())
}

fn lints(log: &mut Log) -> Result<()> {
    log.part("formatting", || Step::cargo("fmt --all --check").run())?;
    log.part("lints", || {
        Step::cargo("clippy --workspace --all-targets --locked -- -D warnings").run()
    })?;
    // Of the libraries: the command's own crate has the engine's name, and one page can't be both.
    log.part("documentation", || {
        let doc = Step::cargo("doc --workspace --lib --no-deps --locked");
        doc.env("RUSTDOCFLAGS", "-D warnings").run()
    })
}

/// Programs that tests compare with or talk to: what for, the variable that names one, its maker.
type Peer = (&'static str, &'static str, fn(&str) -> Result<PathBuf>);

const PEERS: &[Peer] = &[
    ("comparison with llm", "SIMDEX_TEST_LLM", python::llm),
    ("tests with Chroma", "SIMDEX_TEST_CHROMA", python::chroma),
    ("tests with Postgres", "SIMDEX_TEST_POSTGRES", python::postgres),
    ("tests with Postgres over TLS", "SIMDEX_TEST_POSTGRES_TLS", |_| system::postgres()),
];

fn tests(log: &mut Log) -> Result<()> {
    let mut tests = Step::cargo("test --workspace --locked");
    let python = python::find();
    if let Some(python) = python {
        tests = tests.env("SIMDEX_TEST_PYTHON", python);
    }
    for (name, variable, make) in PEERS {
        match python.map(make) {
            None => log.left_out(name, "no Python 3.10 or later was found")?,
            Some(Ok(program)) => tests = tests.env(variable, program),
            Some(Err(error)) => log.left_out(name, &format!("{error:#}"))?,
        }
    }
    log.part("tests", || tests.run())
}

fn package(log: &mut Log) -> Result<()> {
    match python::find() {
        None => log.left_out("Python package", "no Python 3.10 or later was found"),
        Some(python) => {
            system::provide(python, log)?;
            log.part("Python package", || python::test(python))
        }
    }
}

fn fuzz(log: &mut Log) -> Result<()> {
    match fuzz::obstacle() {
        Some(reason) => log.left_out("fuzzing", reason),
        None => log.part("fuzzing", || {
            fuzz::lint()?;
            fuzz::targets(&[], FUZZ_SECONDS)
        }),
    }
}
