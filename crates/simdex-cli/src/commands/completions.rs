//! `completions`: a script for a shell.

use clap::CommandFactory;

use crate::app::App;
use crate::args::{Cli, CompletionsArgs};

pub(super) fn run(args: &CompletionsArgs, app: &App) -> anyhow::Result<()> {
    // Made in memory first: clap_complete panics when it can't write, as into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "simdex", &mut script);
    app.printer().data(|out| Ok(out.write_all(&script)?))
}
