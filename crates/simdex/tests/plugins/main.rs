//! Plugins as real processes: this program is also the plugin, when it is started by its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::print_stderr, missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod drops;
mod examples;
mod failing;
mod indexes;
mod scene;
mod testing;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use simdex::index::plugin::PREFIX;

fn main() -> ExitCode {
    if let Some(name) = plugin_name() {
        testing::main(&name);
        return ExitCode::SUCCESS;
    }
    let all = [conformance::TESTS, drops::TESTS, examples::TESTS, failing::TESTS, indexes::TESTS];
    let trial = |(name, test): &(&'static str, fn())| {
        let test = *test;
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    };
    let trials = all.into_iter().flatten().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The plugin that this process was started as.
fn plugin_name() -> Option<String> {
    let program = std::env::args_os().next()?;
    let file = std::path::Path::new(&program).file_stem()?.to_str()?.to_owned();
    file.strip_prefix(PREFIX).map(str::to_owned)
}
