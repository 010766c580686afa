//! The simdex command as a library, for programs that bring it along (the Python package).

use std::ffi::OsString;

use clap::Parser;

mod app;
mod args;
mod commands;
mod embed;
mod failure;
mod output;
mod paths;
mod printer;
mod progress;
mod query;
mod shell;

use app::App;
use args::Cli;

/// Runs one command; `arguments` begin with the program's name. Returns the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let app = App::new(cli.global);
    let result = commands::run(cli.command, &app);
    failure::exit_code(result, &app)
}

/// Help and version are data and a success; anything else is the user's to mend.
fn usage(error: &clap::Error) -> u8 {
    // Where not even this can be printed, there is nobody to tell.
    let _ = error.print();
    u8::from(error.use_stderr())
}
