//! `plugin`: kinds of index that are programs of their own. One file a subcommand.

use crate::app::App;
use crate::args::plugin::PluginCommand;

mod list;
mod new;
mod show;
mod test;

pub(super) fn run(command: PluginCommand, app: &App) -> anyhow::Result<()> {
    match command {
        PluginCommand::List(args) => list::run(&args, app),
        PluginCommand::Show(args) => show::run(&args, app),
        PluginCommand::Test(args) => test::run(&args, app),
        PluginCommand::New(args) => new::run(&args, app),
    }
}
