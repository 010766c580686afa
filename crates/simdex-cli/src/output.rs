//! Formats of search results: one a file. To add one, write the file and give it an option in
//! [`crate::args::query::FormatArgs`].

use std::io::{self, Write};

use simdex::Metric;
use simdex::engine::api::Match;

use crate::args::query::FormatArgs;

pub(crate) mod compare;
pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod plain;
pub(crate) mod python_json;
pub(crate) mod table;

/// A way of writing results.
pub(crate) trait Format {
    /// Writes all of `rows`, closest first.
    fn write(&self, shape: Shape, rows: &mut Rows<'_, '_>, out: &mut dyn Write) -> io::Result<()>;
}

/// Results, each made as it is written.
pub(crate) type Rows<'i, 'a> = dyn Iterator<Item = Row<'a>> + 'i;

/// Which columns results have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) metric: Metric,
    pub(crate) collection: Column,
    pub(crate) content: Column,
}

/// Whether a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Shown,
    Left,
}

impl Shape {
    /// The name of the score: under L2, lower is closer, so it has a name of its own.
    pub(crate) fn score(self) -> &'static str {
        match self.metric {
            Metric::L2 => "distance",
            Metric::Cosine | Metric::Dot => "score",
        }
    }
}

/// One result, ready to write.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) found: &'a Match,
    pub(crate) metadata: Metadata,
}

/// Metadata of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Metadata {
    /// There is none.
    Absent,
    /// JSON, as Python writes it.
    Json(String),
    /// Text that is not JSON, as a JSON string.
    NotJson(String),
}

impl<'a> Row<'a> {
    pub(crate) fn new(found: &'a Match) -> Self {
        Self { found, metadata: Metadata::of(found.metadata.as_deref()) }
    }
}

impl Metadata {
    fn of(text: Option<&str>) -> Self {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Self::Absent;
        };
        python_json::redump(text).map_or_else(
            || {
                let mut quoted = String::new();
                python_json::push_string(&mut quoted, text);
                Self::NotJson(quoted)
            },
            Self::Json,
        )
    }

    /// The metadata as JSON, if there is any.
    pub(crate) fn json(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Json(json) | Self::NotJson(json) => Some(json),
        }
    }
}

/// The format that the options ask for.
pub(crate) fn format(options: &FormatArgs) -> &'static dyn Format {
    match (options.plain, options.csv) {
        (true, _) => &plain::Plain,
        (_, true) => &csv::Csv,
        _ => &json::JsonLines,
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use simdex::store::Id;

    pub(crate) const SIMILAR: Shape =
        Shape { metric: Metric::Cosine, collection: Column::Left, content: Column::Shown };
    pub(crate) const SEARCH: Shape =
        Shape { metric: Metric::L2, collection: Column::Shown, content: Column::Left };

    pub(crate) fn found(
        id: Id,
        score: f64,
        content: Option<&str>,
        metadata: Option<&str>,
    ) -> Match {
        Match {
            source: "posts".to_owned(),
            id,
            score,
            content: content.map(str::to_owned),
            metadata: metadata.map(str::to_owned),
        }
    }

    pub(crate) fn text(format: &dyn Format, shape: Shape, found: &[Match]) -> String {
        let mut out = Vec::new();
        format.write(shape, &mut found.iter().map(Row::new), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}
