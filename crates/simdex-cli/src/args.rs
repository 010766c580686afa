//! What can be typed. Completions, man pages and help texts come from these definitions.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand};

pub(crate) mod compare;
pub(crate) mod embedder;
pub(crate) mod index;
pub(crate) mod plugin;
pub(crate) mod query;
pub(crate) mod transfer;

use compare::CompareArgs;
use embedder::EmbedderCommand;
use index::IndexCommand;
use plugin::PluginCommand;
use query::{SearchArgs, SimilarArgs};
use transfer::{ImportArgs, MigrateArgs, RelatedArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Fast, exact and fresh similarity search over embeddings that live in SQLite.
///
/// Works on the database of the llm command, and on any table with an id and a blob of float32
/// values. The database is never changed; indexes are kept beside it and can be thrown away.
#[derive(Debug, Parser)]
#[command(
    name = "simdex",
    version,
    styles = STYLES,
    max_term_width = 100,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  simdex quickstart                          Try it on sample data
  simdex collections                         See what is in llm's database
  simdex similar posts 1234                  Find what is similar to a stored item
  simdex similar posts -c 'I like cats'      Find what is similar to a text
  simdex index create posts -c posts         Make the searches of a collection faster

Exit status: 0 done; 1 refused, or bad news was printed; 2 something unexpected failed, as a full
disk; 130 stopped with Ctrl-C."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// SQLite database [env: LLM_EMBEDDINGS_DB] [default: llm's embeddings.db]
    #[arg(short, long, global = true, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(crate) database: Option<PathBuf>,
    /// Folder for indexes [env: SIMDEX_INDEX_DIR] [default: beside the database]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) index_dir: Option<PathBuf>,
    /// Print no notes and no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say how answers are found; twice: log what the engine does
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try everything on sample data, in a minute
    #[command(after_help = "\
Examples:
  simdex quickstart
  simdex quickstart --directory /tmp/try

Writes a real embeddings.db with 5,000 PyPI packages, indexes it and searches it. Running it again
uses what is there. A database that it did not make is left alone.")]
    Quickstart(QuickstartArgs),
    /// List the collections of the database
    #[command(after_help = "\
Examples:
  simdex collections
  simdex collections -d embeddings.db --json

Rows that can't be searched are counted with the reason. `*` marks the default index.")]
    Collections(ListArgs),
    /// Find the items of a collection that are similar to an item, a text or a vector
    #[command(
        after_help = query::SIMILAR_EXAMPLES,
        after_long_help = concat!(query::similar_examples!(), "\n\n", query::output_notes!())
    )]
    Similar(SimilarArgs),
    /// Search everything that an index covers
    #[command(
        after_help = query::SEARCH_EXAMPLES,
        after_long_help = concat!(query::search_examples!(), "\n\n", query::output_notes!())
    )]
    Search(SearchArgs),
    /// Create, list and look after indexes
    #[command(
        subcommand,
        after_help = "\
Examples:
  simdex index create posts -c posts
  simdex index refresh --all
  simdex index show posts"
    )]
    Index(IndexCommand),
    /// Measure the indexes of a collection: build time, size, recall and speed
    #[command(after_help = compare::EXAMPLES)]
    Compare(CompareArgs),
    /// Carry a collection into a file or onto a server: ids, vectors, content and metadata
    #[command(after_help = transfer::MIGRATE_EXAMPLES)]
    Migrate(MigrateArgs),
    /// Make a collection of a file
    #[command(after_help = transfer::IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Keep a table of the rows closest to each row of a collection
    #[command(after_help = transfer::RELATED_EXAMPLES)]
    Related(RelatedArgs),
    /// List, test and write plugins: kinds of index that are programs of their own
    #[command(
        subcommand,
        after_help = "\
Examples:
  simdex plugin list
  simdex plugin test faiss
  simdex plugin new --lang python my-index

A plugin is a program `simdex-index-NAME` on PATH, in any language. An index uses it with
`simdex index create … --kind NAME`."
    )]
    Plugin(PluginCommand),
    /// Say which embedding server to ask for a model, for searches by text
    #[command(
        subcommand,
        after_help = "\
Examples:
  simdex embedder set text-embedding-3-small https://api.openai.com --api-key-env OPENAI_API_KEY
  simdex embedder set nomic-embed-text http://localhost:11434
  simdex embedder test nomic-embed-text

Any server with an OpenAI-compatible /v1/embeddings will do: OpenAI, Ollama, llama.cpp, LM Studio …
Without one, the llm command is asked, if it is installed."
    )]
    Embedder(EmbedderCommand),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  simdex completions bash > ~/.local/share/bash-completion/completions/simdex
  simdex completions fish > ~/.config/fish/completions/simdex.fish
  simdex completions zsh > \"${fpath[1]}/_simdex\"")]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for every command
    #[command(after_help = "\
Examples:
  simdex man | man -l -
  simdex man --out ~/.local/share/man/man1")]
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// Folder to write the sample database to; made if need be
    #[arg(long, value_name = "DIR", default_value = "simdex-quickstart", value_hint = clap::ValueHint::DirPath)]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ListArgs {
    pub(crate) fn style(&self) -> Style {
        if self.json { Style::Json } else { Style::Text }
    }
}

/// How lists and reports are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder to write the pages of all commands to; made if need be
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["simdex", "similar", "posts", "1", "-d", "x.db", "-q"]);
        assert_eq!(cli.global.database, Some("x.db".into()));
        assert!(cli.global.quiet);
    }

    #[test]
    fn numbers_may_be_negative() {
        let cli = Cli::parse_from(["simdex", "similar", "posts", "1", "-n", "-1"]);
        let Command::Similar(args) = cli.command else { panic!("not similar") };
        assert_eq!(args.output.number, -1);
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_after_help().is_some(), "no examples in {path}");
                check(sub, &path);
            }
        }
        check(&Cli::command(), "simdex");
    }
}
