//! `compare`: what is measured, and on which vectors.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use simdex::Metric;
use simdex::compare::Try;

use super::index::{key_value, metric_parser};
use super::{ListArgs, Style};

pub(crate) const EXAMPLES: &str = "\
Examples:
  simdex compare posts                             The indexes of a collection
  simdex compare posts --try flat:codes=never      And a kind that is not an index yet
  simdex compare posts --html compare.html         A page with a plot
  simdex compare --vectors base.npy --queries queries.npy --truth nearest.npy --json

Recall is counted against exact answers. Everything is built in memory; nothing is written.
Searches of a collection are for some of its rows, which are held out of the indexes.";

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Collection whose indexes are compared, or one index
    #[arg(
        value_name = "COLLECTION",
        required_unless_present = "vectors",
        conflicts_with = "vectors"
    )]
    pub(crate) name: Option<String>,
    /// Kind of index or plugin to try, with parameters: KIND or KIND:KEY=VALUE,…; may be repeated
    /// [default: every built-in kind, where there is no index]
    #[arg(long = "try", value_name = "KIND", value_parser = tried, conflicts_with = "vectors")]
    pub(crate) tries: Vec<Try>,
    /// Rows to hold out as queries [default: 1,000 or a tenth, the smaller]; with --vectors, a file
    #[arg(long, value_name = "N|FILE")]
    pub(crate) queries: Option<PathBuf>,
    /// Number of results of each search
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) k: usize,
    /// Threads of builds and searches [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Threads of builds alone [default: as --threads]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(crate) build_threads: Option<usize>,
    /// Write a page with the table and a plot of recall against speed
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    style: ListArgs,
    // Last: its heading would be that of what follows, too.
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

/// Vectors that are not in a database.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for .npy files")]
pub(crate) struct FileArgs {
    /// Rows to search, float16, float32 or float64
    #[arg(long, value_name = "FILE", requires = "queries", value_hint = clap::ValueHint::FilePath)]
    pub(crate) vectors: Option<PathBuf>,
    /// Numbers of the nearest rows of each query, nearest first [default: they are computed]
    #[arg(long, value_name = "FILE", conflicts_with = "name", value_hint = clap::ValueHint::FilePath)]
    pub(crate) truth: Option<PathBuf>,
    /// Kind of index, or a plugin's name [default: every built-in kind]
    #[arg(long, conflicts_with = "name")]
    pub(crate) kind: Option<String>,
    /// Parameter of the kind; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "kind", conflicts_with = "name", value_parser = key_value)]
    pub(crate) parameters: Vec<(String, String)>,
    /// How closeness is measured [default: cosine]
    #[arg(long, conflicts_with = "name", value_parser = metric_parser())]
    pub(crate) metric: Option<Metric>,
}

impl CompareArgs {
    pub(crate) fn style(&self) -> Style {
        self.style.style()
    }
}

/// `KIND[:KEY=VALUE,…]`. The engine knows which kinds and keys there are. Values may hold commas, as
/// those of faiss do: a piece without `=` belongs to the value before it.
fn tried(text: &str) -> Result<Try, String> {
    let (kind, settings) = text.split_once(':').unwrap_or((text, ""));
    let mut pieces: Vec<String> = Vec::new();
    for piece in settings.split(',').filter(|piece| !piece.is_empty()) {
        match pieces.last_mut().filter(|_| !piece.contains('=')) {
            Some(value) => *value += &format!(",{piece}"),
            None => pieces.push(piece.to_owned()),
        }
    }
    let parameters = pieces.iter().map(|piece| key_value(piece)).collect::<Result<_, _>>();
    let parameters = parameters.map_err(|_| "expected KIND or KIND:KEY=VALUE,…".to_owned())?;
    Ok(Try { kind: kind.to_owned(), parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_have_parameters() {
        let plain = tried("flat").unwrap();
        assert_eq!((plain.kind.as_str(), plain.parameters.len()), ("flat", 0));
        let set = tried("x:a=1,b=c=d").unwrap();
        assert_eq!(set.kind, "x");
        assert_eq!(set.parameters["a"], "1");
        assert_eq!(set.parameters["b"], "c=d");
        assert!(tried("x:a").is_err());
        let commas = tried("faiss:factory=IVF256,PQ32,nprobe=4").unwrap();
        assert_eq!(commas.parameters["factory"], "IVF256,PQ32");
        assert_eq!(commas.parameters["nprobe"], "4");
    }
}
