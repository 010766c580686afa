//! `index`: definitions and their upkeep. One file a subcommand.

use simdex::Engine;

use crate::app::App;
use crate::args::index::{IndexCommand, SelectionArgs};
use crate::failure::{self, Reported};

mod build;
mod create;
mod default;
mod drop;
mod list;
mod show;
mod verify;

pub(super) use create::built;

pub(super) fn run(command: IndexCommand, app: &App) -> anyhow::Result<()> {
    match command {
        IndexCommand::Create(args) => create::run(&args, app),
        IndexCommand::List(args) => list::run(&args, app),
        IndexCommand::Show(args) => show::run(&args, app),
        IndexCommand::Build(args) => build::run(&args, build::Work::Build, app),
        IndexCommand::Refresh(args) => build::run(&args, build::Work::Refresh, app),
        IndexCommand::Verify(args) => verify::run(&args, app),
        IndexCommand::Drop(args) => drop::run(&args, app),
        IndexCommand::Default(args) => default::run(&args, app),
    }
}

/// The names that the user gave, or all there are.
fn selected(args: &SelectionArgs, engine: &Engine, app: &App) -> anyhow::Result<Vec<String>> {
    if !args.which.all {
        return Ok(args.which.names.clone());
    }
    let names: Vec<_> = engine.indexes()?.into_iter().map(|index| index.name).collect();
    if names.is_empty() {
        app.printer().note("the database has no indexes");
    }
    Ok(names)
}

/// Does `work` for each name. One that fails doesn't keep the others from their turn; Ctrl-C does.
///
/// With one name its error is the error; with several, each is printed as it happens.
fn each<T>(
    names: &[String],
    app: &App,
    mut work: impl FnMut(&str) -> anyhow::Result<T>,
) -> anyhow::Result<Outcome<T>> {
    if let [name] = names {
        return Ok(Outcome { done: vec![work(name)?], failed: false });
    }
    let mut outcome = Outcome { done: Vec::new(), failed: false };
    for name in names {
        match work(name) {
            Ok(done) => outcome.done.push(done),
            Err(error) if failure::is_cancelled(&error) => return Err(error),
            Err(error) => {
                failure::report(&error.context(format!("index {name}")), app);
                outcome.failed = true;
            }
        }
    }
    Ok(outcome)
}

/// What became of several indexes.
struct Outcome<T> {
    done: Vec<T>,
    failed: bool,
}

impl<T> Outcome<T> {
    /// An error when any failed; it has been printed.
    fn end(self) -> anyhow::Result<()> {
        if self.failed { Err(Reported.into()) } else { Ok(()) }
    }
}
