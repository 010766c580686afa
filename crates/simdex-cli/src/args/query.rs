//! `similar` and `search`: the query, the filter and the output.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

macro_rules! similar_examples {
    () => {
        "\
Examples:
  simdex similar posts 1234                      Similar to the stored item 1234
  simdex similar posts -c 'I like cats'          Similar to a text
  simdex similar posts -i draft.txt -n 3 -p      Similar to a file; 3 results, as plain text
  echo '[0.1, -0.2]' | simdex similar posts --vector -
  simdex similar posts 1234 --where \"json_extract(metadata, '$.lang') = 'en'\"
  simdex similar posts 1234 --attach blog blog.db --ids 'SELECT id FROM blog.published'"
    };
}
macro_rules! search_examples {
    () => {
        "\
Examples:
  simdex search everything -c 'I like cats'      Similar to a text, in all collections of the index
  simdex search everything 1234 --from posts     Similar to item 1234 of the collection posts
  simdex search shop --vector @query.json --csv  A vector in a file; results as CSV"
    };
}
macro_rules! output_notes {
    () => {
        "\
Output:
  Without --plain or --csv, results are JSON, one object a line, as llm prints them: id, score,
  content, metadata. `search` adds the collection. Under the metric l2 the score is called distance
  (squared, lower is closer). Ids that are blobs are {\"$base64\": true, \"encoded\": \"…\"}."
    };
}
pub(crate) use {output_notes, search_examples, similar_examples};

pub(crate) const SIMILAR_EXAMPLES: &str = similar_examples!();
pub(crate) const SEARCH_EXAMPLES: &str = search_examples!();

#[derive(Debug, Args)]
pub(crate) struct SimilarArgs {
    /// Collection to search
    pub(crate) collection: String,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    /// Search through this index, not the collection's default
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    pub(crate) index: Option<String>,
    /// Compare with every row of the database, using no index
    #[arg(long, conflicts_with = "index", help_heading = "Search options")]
    pub(crate) exact: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Index to search
    pub(crate) index: String,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    /// Collection that holds the item ID, where several do
    #[arg(long, value_name = "COLLECTION", requires = "id", help_heading = "Query options")]
    pub(crate) from: Option<String>,
    /// Compare with every row of the database, not through the index
    #[arg(long, help_heading = "Search options")]
    pub(crate) exact: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to compare with. An id wins over a text, and `--content` over `--input`, as in llm.
#[derive(Debug, Args)]
#[command(next_help_heading = "Query options")]
pub(crate) struct QueryArgs {
    /// Item to compare with; it is left out of the results
    #[arg(help_heading = None::<&str>)]
    pub(crate) id: Option<String>,
    /// Text to compare with
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) content: Option<String>,
    /// File to compare with; `-` is standard input
    #[arg(short, long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(crate) input: Option<PathBuf>,
    /// Treat the input as binary data, such as an image
    #[arg(long)]
    pub(crate) binary: bool,
    /// Vector to compare with: a JSON array, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON", allow_hyphen_values = true, conflicts_with_all = ["id", "content", "input", "binary"])]
    pub(crate) vector: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Search options")]
pub(crate) struct FilterArgs {
    /// Only ids that start with this; case of a–z is ignored, `%` and `_` are wildcards (SQL LIKE)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prefix: Option<String>,
    /// Only rows that meet this SQL condition
    #[arg(long = "where", value_name = "SQL", allow_hyphen_values = true)]
    pub(crate) condition: Option<String>,
    /// Only ids that this SELECT lists
    #[arg(long, value_name = "SQL", allow_hyphen_values = true)]
    pub(crate) ids: Option<String>,
    /// Another database that --where and --ids may read; may be repeated
    #[arg(long, num_args = 2, value_names = ["ALIAS", "PATH"], action = ArgAction::Append)]
    pub(crate) attach: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    /// Number of results; all with a negative number
    #[arg(short, long, value_name = "N", default_value_t = 10, allow_negative_numbers = true)]
    pub(crate) number: i64,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// Leave content and metadata out
    #[arg(long)]
    pub(crate) no_content: bool,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct FormatArgs {
    /// Print JSON, one object a line (the default)
    #[arg(long)]
    pub(crate) json: bool,
    /// Print plain text
    #[arg(short, long)]
    pub(crate) plain: bool,
    /// Print CSV
    #[arg(long)]
    pub(crate) csv: bool,
}
