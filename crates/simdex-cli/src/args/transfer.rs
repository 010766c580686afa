//! `migrate`, `import` and `related`: what goes where.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::{ListArgs, Style};

pub(crate) const MIGRATE_EXAMPLES: &str = "\
Examples:
  simdex migrate posts --to parquet posts.parquet
  simdex migrate posts --to npy posts.npy            And posts.jsonl, a line for each row
  simdex migrate posts --to fvecs posts.fvecs        The same
  simdex migrate posts --to npy posts.npy --strict --json
  simdex migrate posts --to chroma http://localhost:8000
  simdex migrate posts --to chroma http://localhost:8000 --delete
  simdex migrate posts --to pgvector postgres://me@db.example.com/vectors --as blog_posts

The database is only read. A file holds the collection as it stands when the command begins, and
stands under its name once all of it was written and read back: nothing half-made is left, whatever
interrupts the command. Rows without a usable id or vector are left out, counted and named.
`simdex import` reads the files.

A server gets ids, vectors, content and metadata in batches. The command compares what is there
and sends what differs, so run it again to go on after a stop, and after changes here. Rows that
are only there, because they were deleted here, are counted and named; --delete removes them. In
the end all ids and a sample are read back. Rows that the server refuses are named, and the exit
status is 1. Passwords come from the URL or, for Postgres, PGPASSWORD or the password file; a
token of Chroma from SIMDEX_CHROMA_TOKEN.";

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Collection to carry
    pub(crate) collection: String,
    /// Where to: parquet, npy or fvecs and the file, chroma or pgvector and the URL
    #[arg(long, required = true, num_args = 2, value_names = ["KIND", "PLACE"])]
    pub(crate) to: Vec<std::ffi::OsString>,
    /// Fail at the first row that can't be carried, instead of leaving it out
    #[arg(long)]
    pub(crate) strict: bool,
    /// Replace files that are there already
    #[arg(long)]
    pub(crate) force: bool,
    /// Remove rows from the server that the collection doesn't have, whoever put them there
    #[arg(long)]
    pub(crate) delete: bool,
    /// Name of the collection on a server [default: its own]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    style: ListArgs,
}

impl MigrateArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}

pub(crate) const IMPORT_EXAMPLES: &str = "\
Examples:
  simdex import posts.parquet posts --into embeddings.db
  simdex import posts.npy posts --into new.db --model text-embedding-3-small
  simdex import more.parquet posts --into embeddings.db --append

The collection is one of llm's: `llm similar posts` and `simdex similar posts` read it. All rows are
stored or, if anything goes wrong, none. The vectors of .npy and .fvecs need their ids beside them:
posts.jsonl for posts.npy, a line {\"id\": …} for each, with content and metadata if you like. A
Parquet file has a column `id` and one of lists named `embedding`, `vector`, or the plural.";

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to read: .parquet, .npy or .fvecs
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Collection to make
    pub(crate) collection: String,
    /// Database to write to; made if need be
    #[arg(long, value_name = "DB", value_hint = clap::ValueHint::FilePath)]
    pub(crate) into: PathBuf,
    /// Model of the vectors [default: as the file says]
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Add to a collection that is there; rows with an id that it has are replaced
    #[arg(long, conflicts_with = "replace")]
    pub(crate) append: bool,
    /// Replace the rows of a collection that is there
    #[arg(long)]
    pub(crate) replace: bool,
    /// Fail at the first row that can't be stored, instead of leaving it out
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    style: ListArgs,
}

impl ImportArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}

pub(crate) const RELATED_EXAMPLES: &str = "\
Examples:
  simdex related posts --output related.db
  simdex related posts --output blog.db --into similar_posts -k 5
  simdex related posts --output related.db --json --quiet

Each row of the table is (id, other_id, score): a row, one of the closest to it, and their cosine
similarity. Run it again after changes: it costs what the changes cost, and the result is that of
computing everything anew. The database with the collection is only read, so the table is in another
one, which you name.";

#[derive(Debug, Args)]
pub(crate) struct RelatedArgs {
    /// Collection whose rows are compared with each other
    pub(crate) collection: String,
    /// Database to write the table to; made if need be
    #[arg(long, value_name = "DB", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Table to make or bring up to date
    #[arg(long, value_name = "TABLE", default_value = "similarities")]
    pub(crate) into: String,
    /// Number of closest rows of each row
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub(crate) k: usize,
    #[command(flatten)]
    style: ListArgs,
}

impl RelatedArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}
