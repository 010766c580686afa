//! `index …`: definitions and their upkeep.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use simdex::Metric;
use simdex::index::KINDS;
use simdex::index::remote::REMOTE;

use super::{ListArgs, Style};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum IndexCommand {
    /// Define an index over collections or a table, and build it
    #[command(after_help = CREATE_EXAMPLES, after_long_help = create_long_help())]
    Create(CreateArgs),
    /// List indexes
    #[command(after_help = "\
Examples:
  simdex index list
  simdex index list --json")]
    List(ListArgs),
    /// Show what an index covers, how it stands and which rows it can't search
    #[command(after_help = "\
Examples:
  simdex index show posts
  simdex index show posts --json")]
    Show(ShowArgs),
    /// Build indexes anew
    #[command(after_help = "\
Examples:
  simdex index build posts
  simdex index build --all

Searches are right without it. Refreshing is faster and usually enough.")]
    Build(SelectionArgs),
    /// Take changes of the database into indexes
    #[command(after_help = "\
Examples:
  simdex index refresh posts
  simdex index refresh --all --quiet

Searches are right without it: they look for changes themselves. Refreshing keeps them fast.")]
    Refresh(SelectionArgs),
    /// Compare indexes with the database, row by row
    #[command(after_help = "\
Examples:
  simdex index verify posts
  simdex index verify --all --json

Exits with status 1 when an index is not as it should be.")]
    Verify(SelectionArgs),
    /// Delete indexes; the database keeps every row
    #[command(after_help = "\
Examples:
  simdex index drop posts
  simdex index drop posts tils --yes")]
    Drop(DropArgs),
    /// Choose the index that `similar` uses for a collection
    #[command(after_help = "\
Examples:
  simdex index default posts             For all collections that the index posts covers
  simdex index default big -c tils       For the collection tils only
  simdex index default --clear tils      Search tils without an index")]
    Default(DefaultArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the new index
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) source: CreateSource,
    /// Column of the table that holds ids [default: id, else the primary key, else rowid]
    #[arg(
        long,
        value_name = "COLUMN",
        conflicts_with = "collections",
        help_heading = "Table options"
    )]
    pub(crate) id_column: Option<String>,
    /// Column of the table that holds embeddings [default: embedding]
    #[arg(
        long,
        value_name = "COLUMN",
        conflicts_with = "collections",
        help_heading = "Table options"
    )]
    pub(crate) embedding_column: Option<String>,
    /// Only the rows of the table that meet this SQL condition
    #[arg(
        long = "where",
        value_name = "SQL",
        conflicts_with = "collections",
        help_heading = "Table options"
    )]
    pub(crate) condition: Option<String>,
    /// Kind of index, or a plugin's name [default: auto, which picks for you]
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// How closeness is measured [default: cosine for collections, l2 for tables]
    #[arg(long, value_parser = metric_parser())]
    pub(crate) metric: Option<Metric>,
    /// Parameter of the kind, see --help; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) parameters: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) default: DefaultChoice,
    /// The collections' models have different names but are one model
    #[arg(long)]
    pub(crate) allow_models: bool,
    /// Only define the index; `index build` builds it, until then searches read the database
    #[arg(long)]
    pub(crate) no_build: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CreateSource {
    /// Collection to cover; may be repeated
    #[arg(short, long = "collection", value_name = "COLLECTION")]
    pub(crate) collections: Vec<String>,
    /// Table or view to cover
    #[arg(long)]
    pub(crate) table: Option<String>,
}

/// With neither, it becomes the default of the collections that have none.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct DefaultChoice {
    /// Make it the default index of its collections [default: of those that have none]
    #[arg(long = "default", conflicts_with = "table")]
    pub(crate) yes: bool,
    /// Don't make it the default of any collection
    #[arg(long = "no-default")]
    pub(crate) no: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Name of the index
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) style: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    style: ListArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Names of indexes
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// All indexes of the database
    #[arg(long)]
    pub(crate) all: bool,
}

impl SelectionArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}

#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// Names of indexes
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// Don't ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DefaultArgs {
    /// Name of the index
    #[arg(required_unless_present = "clear")]
    pub(crate) name: Option<String>,
    /// Only for this collection; may be repeated [default: all that the index covers]
    #[arg(short, long = "collection", value_name = "COLLECTION")]
    pub(crate) collections: Vec<String>,
    /// Leave this collection without a default; may be repeated
    #[arg(long, value_name = "COLLECTION", conflicts_with_all = ["name", "collections"])]
    pub(crate) clear: Vec<String>,
}

pub(super) fn metric_parser() -> impl clap::builder::TypedValueParser<Value = Metric> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(Metric::ALL.map(Metric::name)).try_map(|name| name.parse::<Metric>())
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

const CREATE_EXAMPLES: &str = "\
Examples:
  simdex index create posts -c posts
  simdex index create everything -c posts -c tils --no-default
  simdex index create shop --table products --id-column sku --where 'active = 1'

--help lists the kinds of index and their parameters.";

/// The kinds and their parameters, from the engine's list.
fn create_long_help() -> String {
    let examples = CREATE_EXAMPLES.split("\n\n").next().unwrap_or_default();
    let mut help = format!("{examples}\n\nKinds of index:\n");
    for kind in KINDS.iter().chain(REMOTE) {
        help += &format!("  {:<8}  {}\n", kind.name(), kind.about());
        for parameter in kind.parameters() {
            let setting = format!("{}={}", parameter.name, parameter.default);
            help += &format!("  {:<8}    --set {setting:<20}  {}\n", "", parameter.about);
        }
    }
    help += "\nPlugins are kinds, too: `simdex plugin list`, `simdex plugin show NAME`.";
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_help_names_every_kind_and_parameter() {
        let help = create_long_help();
        for kind in KINDS.iter().chain(REMOTE) {
            assert!(help.contains(kind.name()) && help.contains(kind.about()), "{help}");
            for parameter in kind.parameters() {
                assert!(help.contains(parameter.name), "{help}");
            }
        }
    }

    #[test]
    fn settings_are_split_at_the_first_equals_sign() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(key_value("a").is_err());
        assert!(key_value("=b").is_err());
    }
}
