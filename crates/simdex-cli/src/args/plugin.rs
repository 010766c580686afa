//! `plugin …`: kinds of index that are programs of their own.

use clap::{Args, Subcommand};

use super::index::key_value;
use super::{ListArgs, Style};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum PluginCommand {
    /// List the plugins that are installed
    #[command(after_help = "\
Examples:
  simdex plugin list
  simdex plugin list --json

Plugins are programs `simdex-index-NAME` in the folders of SIMDEX_PLUGIN_PATH and PATH. Each is
started and asked what it can do.")]
    List(ListArgs),
    /// Show what a plugin can do, and its options
    #[command(after_help = "\
Examples:
  simdex plugin show faiss
  simdex plugin show faiss --json")]
    Show(ShowArgs),
    /// Check that a plugin does all that it must
    #[command(after_help = "\
Examples:
  simdex plugin test faiss
  simdex plugin test faiss --set factory=IVF32,Flat --json

Checks recall against exact answers, batches, filters, updates, deletes, restarts, queries of the
wrong size, 0 and 1 rows, and several processes and threads at once, with every metric that the
plugin knows. Exits with status 1 when a check fails.")]
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Name of the plugin
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) style: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Name of the plugin
    pub(crate) name: String,
    /// Option of the plugin; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) options: Vec<(String, String)>,
    #[command(flatten)]
    style: ListArgs,
}

impl TestArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}
