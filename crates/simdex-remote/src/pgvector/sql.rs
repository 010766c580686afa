//! What is asked of pgvector, in SQL.

use crate::pgvector::Settings;
use crate::pgvector::names::Name;
use crate::record::{Graph, Space};
use crate::retry::Patience;

/// The most dimensions that an HNSW index takes in float32, and in half precision.
const MOST_FULL: usize = 2000;
const MOST_HALF: usize = 4000;

/// The statements with which a connection begins.
pub(super) fn setup(settings: &Settings, patience: &Patience) -> String {
    let width = settings
        .search_width
        .map_or_else(String::new, |width| format!("SET hnsw.ef_search = {width};"));
    // A filter that leaves few rows makes the index scan go on instead of ending early.
    format!(
        "SET hnsw.iterative_scan = strict_order; {width}
         SET statement_timeout = {}; SET client_min_messages = warning",
        patience.request.as_millis()
    )
}

/// The same for connections that a server makes to its nodes.
pub(super) fn node_options(settings: &Settings) -> String {
    let width = settings
        .search_width
        .map_or_else(String::new, |width| format!(" -c hnsw.ef_search={width}"));
    format!("-c hnsw.iterative_scan=strict_order{width}")
}

/// The columns of a table.
pub(super) fn columns(dimensions: usize, key: Key) -> String {
    let key = match key {
        Key::Primary => "PRIMARY KEY",
        Key::Plain => "NOT NULL",
    };
    // One order of ids on all nodes, whatever their languages.
    format!(
        "(id text COLLATE \"C\" {key}, embedding vector({dimensions}) NOT NULL,
          document text, metadata jsonb)"
    )
}

/// Whether a table itself sees that ids are unique.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// It does.
    Primary,
    /// It can't: Postgres has no keys over foreign tables. The nodes do.
    Plain,
}

/// How vectors are compared, so that an index can help.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    space: Space,
    dimensions: usize,
}

impl Comparison {
    pub(super) fn new(space: Space, dimensions: usize) -> Self {
        Self { space, dimensions }
    }

    /// The distance of a row to the query that is parameter `$1`.
    pub(super) fn distance(self) -> String {
        let operator = match self.space {
            Space::Cosine => "<=>",
            Space::L2 => "<->",
            Space::InnerProduct => "<#>",
        };
        match self.is_half() {
            false => format!("embedding {operator} $1"),
            true => {
                let half = format!("halfvec({})", self.dimensions);
                format!("embedding::{half} {operator} $1::vector::{half}")
            }
        }
    }

    /// The statement that makes the index of a table; `None`: vectors of this size have none.
    pub(super) fn index(self, name: &Name, graph: &Graph) -> Option<String> {
        if self.dimensions > MOST_HALF {
            return None;
        }
        let measure = match self.space {
            Space::Cosine => "cosine",
            Space::L2 => "l2",
            Space::InnerProduct => "ip",
        };
        let on = match self.is_half() {
            false => format!("embedding vector_{measure}_ops"),
            true => format!("(embedding::halfvec({})) halfvec_{measure}_ops", self.dimensions),
        };
        let settings = [("m", graph.neighbors), ("ef_construction", graph.build_width)];
        let settings: Vec<_> = settings
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name} = {}", value?)))
            .collect();
        let with = match settings.is_empty() {
            true => String::new(),
            false => format!(" WITH ({})", settings.join(", ")),
        };
        let (index, table) = (name.index(), name.sql());
        Some(format!("CREATE INDEX IF NOT EXISTS {index} ON {table} USING hnsw ({on}){with}"))
    }

    fn is_half(self) -> bool {
        self.dimensions > MOST_FULL && self.dimensions <= MOST_HALF
    }
}
