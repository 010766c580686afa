//! What Python passes, as the engine's requests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use simdex::compare::{CompareRequest, Try};
use simdex::engine::api::*;

use crate::failure::{InvalidError, raise};
use crate::vectors;

/// A table as a source: the table, its id column, its blob column, and a condition.
type Table = (String, Option<String>, Option<String>, Option<String>);

/// Arguments of `create_index`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Creation {
    name: String,
    collections: Vec<String>,
    tables: Vec<Table>,
    kind: Option<String>,
    metric: Option<String>,
    options: BTreeMap<String, String>,
    /// `None`: only for collections that have none.
    default: Option<bool>,
    allow_models: bool,
}

impl Creation {
    pub(crate) fn request(self) -> PyResult<NewIndex> {
        let collections = self.collections.into_iter().map(NewSource::Collection);
        let tables = self.tables.into_iter().map(|(table, id_column, embedding_column, filter)| {
            NewSource::Table { table, id_column, embedding_column, filter }
        });
        Ok(NewIndex {
            name: self.name,
            sources: collections.chain(tables).collect(),
            kind: self.kind,
            metric: self.metric.map(|name| name.parse()).transpose().map_err(raise)?,
            parameters: self.options,
            default: match self.default {
                Some(true) => MakeDefault::Yes,
                Some(false) => MakeDefault::No,
                None => MakeDefault::IfNone,
            },
            models: if self.allow_models { ModelRule::Any } else { ModelRule::Same },
        })
    }
}

/// Arguments of `compare`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Contest {
    name: String,
    /// (kind, its options)
    tries: Vec<(String, BTreeMap<String, String>)>,
    k: usize,
    queries: Option<usize>,
    threads: Option<usize>,
}

impl Contest {
    pub(crate) fn request(self) -> CompareRequest {
        let tries = self.tries.into_iter().map(|(kind, parameters)| Try { kind, parameters });
        CompareRequest {
            name: self.name,
            tries: tries.collect(),
            k: self.k,
            queries: self.queries,
            threads: self.threads.into(),
        }
    }
}

/// Arguments of `similar` and `search`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Query<'py> {
    collection: Option<String>,
    index: Option<String>,
    exact: bool,
    id: Option<String>,
    vector: Option<Bound<'py, PyAny>>,
    source: Option<String>,
    /// Negative: every row.
    number: i64,
    prefix: Option<String>,
    #[pyo3(item("where"))]
    condition: Option<String>,
    ids: Option<String>,
    attach: Vec<(String, PathBuf)>,
    content: bool,
}

impl Query<'_> {
    pub(crate) fn request(self) -> PyResult<SearchRequest> {
        let target = match (self.collection, self.index, self.exact) {
            (Some(collection), _, true) => Target::Collection(collection, Through::Exact),
            (Some(collection), Some(index), false) => {
                Target::Collection(collection, Through::Index(index))
            }
            (Some(collection), None, false) => Target::Collection(collection, Through::Default),
            (None, Some(index), true) => Target::IndexExact(index),
            (None, Some(index), false) => Target::Index(index),
            (None, None, _) => return Err(InvalidError::new_err("name a collection or an index")),
        };
        let by = match (self.id, self.vector) {
            (Some(id), None) => QueryBy::Id { source: self.source, id },
            (None, Some(vector)) => QueryBy::Vector(vectors::query(&vector)?),
            _ => return Err(InvalidError::new_err("give an id or a vector, one of them")),
        };
        Ok(SearchRequest {
            target,
            by,
            number: usize::try_from(self.number).map_or(Number::All, Number::AtMost),
            filter: Filter {
                prefix: self.prefix,
                condition: self.condition,
                ids: self.ids,
                attach: self.attach,
            },
            content: if self.content { Content::Fetch } else { Content::Omit },
        })
    }
}
