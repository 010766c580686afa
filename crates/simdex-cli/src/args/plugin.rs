//! `plugin …`: kinds of index that are programs of their own.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use simdex::Metric;

use super::index::{key_value, metric_parser};
use super::{ListArgs, Style};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum PluginCommand {
    /// List the plugins that are installed
    #[command(after_help = "\
Examples:
  simdex plugin list
  simdex plugin list --json

Plugins are programs that plugins.json in the folder of settings (SIMDEX_CONFIG_DIR) names, and
programs `simdex-index-NAME` in the folders of SIMDEX_PLUGIN_PATH and PATH. Each is started and
asked what it can do.")]
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
    /// Write the beginning of a new plugin
    #[command(after_help = "\
Examples:
  simdex plugin new --lang python my-index
  simdex plugin new --lang rust my-index --directory ~/src/my-index

What is written works and passes `simdex plugin test`.")]
    New(NewArgs),
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
    /// Check with this metric only
    #[arg(long, value_parser = metric_parser())]
    pub(crate) metric: Option<Metric>,
    #[command(flatten)]
    style: ListArgs,
}

impl TestArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the plugin: lower-case letters, digits, - and _
    pub(crate) name: String,
    /// The language
    #[arg(long, value_enum)]
    pub(crate) lang: Language,
    /// Folder to write to; it must not exist [default: simdex-index-NAME]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,
}

/// What a new plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// With the helper of the Python package simdex
    Python,
    /// With the crate simdex-plugin
    Rust,
}
