//! The habits of the project, as commands.
#![allow(clippy::print_stdout, reason = "a tool for people at a terminal")]

mod bench;
mod docs;
mod fixture;
mod fuzz;
mod kinds;
mod peers;
mod python;
mod sanitize;
#[path = "../../crates/simdex-remote/tests/servers/mod.rs"]
mod servers;
mod step;
mod system;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The habits of the project, as commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every lint and test; what CI runs
    Test(test::Arguments),
    /// Attacks the readers of untrusted bytes with generated input
    Fuzz(fuzz::Arguments),
    /// Measures the engine: whole processes against llm, build, refresh, search
    Bench(bench::Arguments),
    /// Runs the tests of unsafe code under AddressSanitizer
    Sanitize,
    /// Builds the Python wheel: the package, its plugins for llm and Datasette, the command
    Wheel,
    /// Writes the generated documents anew
    Docs,
    /// Writes tests/fixtures/v1 anew; only before its format version is released
    Fixture,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                        before every push
  cargo xtask test python                 the wheel and its plugins only
  cargo xtask fuzz                        every target, one minute each
  cargo xtask fuzz segment --seconds 600  one target, ten minutes
  cargo xtask bench                       the engine's own figures, and llm's
  cargo xtask bench peers --quick         simdex beside other libraries, on 5,000 rows
  cargo xtask sanitize                    after a change of unsafe code
  cargo xtask bench kinds --rows 2000     every kind of index, plugins and servers too
  cargo xtask wheel                       target/wheels/simdex-*.whl
  cargo xtask docs                        after a change of an option or a help text";

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Sanitize => sanitize::run(),
        Command::Wheel => python::build(),
        Command::Docs => docs::write(),
        Command::Fixture => fixture::write(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}
