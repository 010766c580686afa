//! One file a command.

use crate::app::App;
use crate::args::Command;

mod collections;
mod compare;
mod completions;
mod embedder;
mod import;
mod index;
mod man;
mod migrate;
mod plugin;
mod quickstart;
mod related;
mod search;
mod similar;

/// Runs a command.
pub(crate) fn run(command: Command, app: &App) -> anyhow::Result<()> {
    match command {
        Command::Quickstart(args) => quickstart::run(&args, app),
        Command::Collections(args) => collections::run(&args, app),
        Command::Similar(args) => similar::run(&args, app),
        Command::Search(args) => search::run(&args, app),
        Command::Compare(args) => compare::run(&args, app),
        Command::Migrate(args) => migrate::run(&args, app),
        Command::Import(args) => import::run(&args, app),
        Command::Related(args) => related::run(&args, app),
        Command::Index(command) => index::run(command, app),
        Command::Plugin(command) => plugin::run(command, app),
        Command::Embedder(command) => embedder::run(command, app),
        Command::Completions(args) => completions::run(&args, app),
        Command::Man(args) => man::run(&args, app),
    }
}
