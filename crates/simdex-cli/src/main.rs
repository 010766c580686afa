//! The simdex command: parse, options, engine, output.

use std::process::ExitCode;

use clap::Parser;

mod app;
mod args;
mod commands;
mod embed;
mod failure;
mod npy;
mod output;
mod paths;
mod printer;
mod progress;
mod query;
mod shell;

use app::App;
use args::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let app = App::new(cli.global);
    let result = commands::run(cli.command, &app);
    failure::exit_code(result, app.printer())
}

/// Help and version are data and a success; anything else is the user's to mend.
fn usage(error: &clap::Error) -> ExitCode {
    // Where not even this can be printed, there is nobody to tell.
    let _ = error.print();
    ExitCode::from(u8::from(error.use_stderr()))
}
