//! What front ends say to the engine and hear from it. Plain data; no behaviour.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::store::Id;
use crate::types::Metric;

/// Where the database and its indexes are.
#[derive(Debug, Clone)]
pub struct Location {
    /// The SQLite database.
    pub database: PathBuf,
    /// A folder for indexes; `None` means beside the database, or the user's cache folder when the
    /// database's folder can't be written.
    pub index_dir: Option<PathBuf>,
}

/// A new index.
#[derive(Debug, Clone)]
pub struct NewIndex {
    /// Its name, unique for the database.
    pub name: String,
    /// What it covers: at least one source.
    pub sources: Vec<NewSource>,
    /// A name from [`crate::index::KINDS`]; `None` picks for the user.
    pub kind: Option<String>,
    /// `None`: cosine for collections, L2 for tables.
    pub metric: Option<Metric>,
    /// Parameters of the kind.
    pub parameters: BTreeMap<String, String>,
    /// Whether it becomes the default index of its collections.
    pub default: MakeDefault,
    /// Whether collections of different models may be mixed.
    pub models: ModelRule,
}

/// One source of a [`NewIndex`].
#[derive(Debug, Clone)]
pub enum NewSource {
    /// A collection of llm's, by name.
    Collection(String),
    /// Any table or view with an id and a blob column.
    Table {
        /// Its name.
        table: String,
        /// The id column; `None`: `id`, else the primary key, else the rowid.
        id_column: Option<String>,
        /// The blob column; `None`: `embedding`.
        embedding_column: Option<String>,
        /// SQL condition that rows must meet.
        filter: Option<String>,
    },
}

/// Whether a new index becomes the default of its collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MakeDefault {
    /// It does, replacing the present default.
    Yes,
    /// Only for collections that have none.
    IfNone,
    /// It does not.
    No,
}

/// Whether collections embedded by different models may share an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelRule {
    /// All sources must have one model.
    Same,
    /// The user vouches that the names stand for one model.
    Any,
}

/// A search.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Where to search.
    pub target: Target,
    /// What to compare with.
    pub by: QueryBy,
    /// How many results.
    pub number: Number,
    /// Which rows may be answers.
    pub filter: Filter,
    /// Whether content and metadata are read for the results.
    pub content: Content,
}

/// Where to search.
#[derive(Debug, Clone)]
pub enum Target {
    /// A collection, through the given index.
    Collection(String, Through),
    /// Everything an index covers.
    Index(String),
    /// Everything an index covers, reading the rows from SQLite and not the index.
    IndexExact(String),
}

/// The way a collection is searched.
#[derive(Debug, Clone)]
pub enum Through {
    /// Its default index; without one, an exact scan of SQLite.
    Default,
    /// The named index.
    Index(String),
    /// An exact scan of SQLite.
    Exact,
}

/// What rows are compared with.
#[derive(Debug, Clone)]
pub enum QueryBy {
    /// The vector of a stored row; the row itself is left out of the results.
    Id {
        /// The source that holds it; `None`: the only one that does.
        source: Option<String>,
        /// Its id as the user typed it: text, or the number it spells.
        id: String,
    },
    /// A vector.
    Vector(Vec<f64>),
}

/// How many results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// At most this many.
    AtMost(usize),
    /// Every row that can be searched.
    All,
}

/// Conditions on the rows that may be answers; all must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids that start with this: SQL `LIKE`, so ASCII case is ignored and `%` and `_` are wildcards.
    pub prefix: Option<String>,
    /// An SQL condition on the columns of the rows' table.
    pub condition: Option<String>,
    /// A SELECT whose first column lists the allowed ids.
    pub ids: Option<String>,
    /// Databases that `ids` and `condition` may read: (alias, path).
    pub attach: Vec<(String, PathBuf)>,
}

/// Whether content and metadata are read for the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// They are.
    Fetch,
    /// They are not.
    Omit,
}

/// The result of a search.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Closest first; ties by collection name, then id.
    pub matches: Vec<Match>,
    /// The metric of the scores.
    pub metric: Metric,
    /// How the answer was found.
    pub plan: Plan,
    /// What the user should know: damage mended, rows skipped, …
    pub notices: Vec<String>,
}

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The collection or table that holds the row.
    pub source: String,
    /// The row's id.
    pub id: Id,
    /// Its score under [`Answer::metric`].
    pub score: f64,
    /// Text that was embedded, where stored and asked for.
    pub content: Option<String>,
    /// JSON text, where stored and asked for.
    pub metadata: Option<String>,
}

/// How an answer was found.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The index used; `None`: the rows were read from SQLite.
    pub index: Option<String>,
    /// Why, in one sentence.
    pub reason: String,
    /// Rows that were searched.
    pub rows: u64,
    /// Of these, rows newer than the index, compared one by one.
    pub tail: u64,
    /// Whether the database was compared with the index row by row first.
    pub diffed: bool,
}

/// Why rows can't be searched, and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Skipped {
    /// The embedding is NULL.
    pub null: u64,
    /// The embedding is text or a number.
    pub not_a_blob: u64,
    /// The length is 0 or not a multiple of 4 bytes.
    pub odd_length: u64,
    /// A value is NaN or infinite.
    pub not_finite: u64,
    /// All values are 0, so there is no cosine.
    pub zero: u64,
    /// The number of dimensions is not the collection's.
    pub other_size: u64,
}

impl Skipped {
    /// (reason, rows) for every reason that occurs.
    pub fn reasons(&self) -> Vec<(&'static str, u64)> {
        [
            ("NULL embedding", self.null),
            ("not a blob", self.not_a_blob),
            ("length not a multiple of 4 bytes", self.odd_length),
            ("NaN or infinite value", self.not_finite),
            ("zero vector", self.zero),
            ("other number of dimensions", self.other_size),
        ]
        .into_iter()
        .filter(|(_, rows)| *rows > 0)
        .collect()
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        // Counts come from a file, too: they may be anything.
        self.reasons().iter().fold(0, |total, (_, rows)| total.saturating_add(*rows))
    }
}

/// A collection of llm's, as [`crate::Engine::collections`] sees it.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// The embedding model's name.
    pub model: Option<String>,
    /// All rows.
    pub rows: u64,
    /// Dimensions of the rows that can be searched; `None`: there are none.
    pub dimensions: Option<usize>,
    /// Rows that can't be searched.
    pub skipped: Skipped,
    /// Names of the indexes that cover it, and which is its default.
    pub indexes: Vec<String>,
    /// The default index.
    pub default_index: Option<String>,
}

/// An index, as defined and as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Kind of index.
    pub kind: String,
    /// Metric.
    pub metric: Metric,
    /// Parameters that were set.
    pub parameters: BTreeMap<String, String>,
    /// What it covers.
    pub sources: Vec<SourceInfo>,
    /// The collections whose default it is.
    pub default_for: Vec<String>,
    /// What is built.
    pub state: IndexState,
    /// The folder that holds it.
    pub folder: PathBuf,
}

/// One source of an index.
#[derive(Debug, Clone, Serialize)]
pub struct SourceInfo {
    /// Name of the collection or table.
    pub name: String,
    /// `collection` or `table`.
    pub store: &'static str,
    /// The model of a collection.
    pub model: Option<String>,
    /// The id and blob columns of a table, and its condition.
    pub columns: Option<(String, String)>,
    /// The condition of a table source.
    pub filter: Option<String>,
}

/// What is built of an index.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IndexState {
    /// Only defined.
    NotBuilt,
    /// Files of it can't be used; the next search rebuilds it.
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// Built.
    Built(BuiltInfo),
}

/// A built index.
#[derive(Debug, Clone, Serialize)]
pub struct BuiltInfo {
    /// Counts builds.
    pub generation: u64,
    /// Rows that can be searched as of the last look at the database.
    pub rows: u64,
    /// Their dimension.
    pub dimensions: usize,
    /// Rows that can't be searched, as of then.
    pub skipped: Skipped,
    /// Of `rows`, those that are newer than the built structure.
    pub tail: u64,
    /// Rows of the built structure that are gone.
    pub tombstones: u64,
    /// Whether the database is as it was at that look; if not, the next search looks again.
    pub fresh: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was built, seconds since 1970.
    pub built_at: u64,
    /// How long that took, in seconds.
    pub build_seconds: f64,
    /// Facts that the kind tells: (label, value).
    pub facts: Vec<(String, String)>,
}

/// What a build or refresh did.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The index.
    pub index: String,
    /// What was done.
    pub action: Action,
    /// Rows that can be searched.
    pub rows: u64,
    /// Their dimension; 0 when there are none.
    pub dimensions: usize,
    /// Rows added or changed since the index stood last.
    pub upserts: u64,
    /// Rows gone since then.
    pub deletes: u64,
    /// Rows that can't be searched.
    pub skipped: Skipped,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// What the user should know.
    pub notices: Vec<String>,
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

/// What a build or refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing had changed.
    Unchanged,
    /// Changes were written beside the built structure.
    Refreshed,
    /// The structure was built, anew or from the one before.
    Built,
}

/// What `verify` found.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// The index.
    pub index: String,
    /// Problems, each with its place; empty: the index is as it should be.
    pub problems: Vec<String>,
    /// Rows whose stored copy was compared with SQLite.
    pub rows: u64,
    /// Rows newer than the index or gone from SQLite: not a problem, the next search takes them in.
    pub behind: u64,
}
