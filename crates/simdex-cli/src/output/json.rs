//! JSON, one object a line: `llm similar` byte for byte.

use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use simdex::store::Id;

use super::python_json::{push_float, push_string};
use super::{Column, Format, Row, Rows, Shape};

/// The default format.
#[derive(Debug)]
pub(crate) struct JsonLines;

impl Format for JsonLines {
    fn write(&self, shape: Shape, rows: &mut Rows<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        for row in rows {
            line.clear();
            push_row(&mut line, shape, &row);
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

fn push_row(line: &mut String, shape: Shape, row: &Row<'_>) {
    line.push_str("{\"id\": ");
    push_id(line, &row.found.id);
    if shape.collection == Column::Shown {
        line.push_str(", \"collection\": ");
        push_string(line, &row.found.source);
    }
    line.push_str(", \"");
    line.push_str(shape.score());
    line.push_str("\": ");
    push_float(line, row.found.score);
    if shape.content == Column::Shown {
        line.push_str(", \"content\": ");
        match &row.found.content {
            Some(content) => push_string(line, content),
            None => line.push_str("null"),
        }
        line.push_str(", \"metadata\": ");
        line.push_str(row.metadata.json().unwrap_or("null"));
    }
    line.push('}');
}

/// Blobs as Datasette writes them.
fn push_id(line: &mut String, id: &Id) {
    match id {
        Id::Null => line.push_str("null"),
        Id::Integer(value) => line.push_str(&value.to_string()),
        Id::Real(value) => push_float(line, *value),
        Id::Text(_) => push_string(line, &id.as_text().unwrap_or_default()),
        Id::Blob(bytes) => {
            line.push_str("{\"$base64\": true, \"encoded\": \"");
            line.push_str(&BASE64_STANDARD.encode(bytes));
            line.push_str("\"}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{SEARCH, SIMILAR, found, text};
    use super::*;

    #[test]
    fn lines_are_llms() {
        let rows = [
            found(Id::text("a/é"), 0.5, Some("two\nlines"), Some(r#"{"n":1.0,"é":[]}"#)),
            found(Id::text("b"), 1e-7, None, Some("")),
            found(Id::text("c"), -1.0, Some(""), Some("{oops")),
        ];
        assert_eq!(
            text(&JsonLines, SIMILAR, &rows),
            "{\"id\": \"a/\\u00e9\", \"score\": 0.5, \"content\": \"two\\nlines\", \"metadata\": {\"n\": 1.0, \"\\u00e9\": []}}\n\
             {\"id\": \"b\", \"score\": 1e-07, \"content\": null, \"metadata\": null}\n\
             {\"id\": \"c\", \"score\": -1.0, \"content\": \"\", \"metadata\": \"{oops\"}\n"
        );
    }

    #[test]
    fn ids_keep_their_types() {
        let rows = [
            found(Id::Integer(-7), 0.0, None, None),
            found(Id::Real(2.0), 0.0, None, None),
            found(Id::Null, 0.0, None, None),
            found(Id::Blob(vec![0, 255, 16]), 0.0, None, None),
        ];
        assert_eq!(
            text(&JsonLines, SEARCH, &rows),
            "{\"id\": -7, \"collection\": \"posts\", \"distance\": 0.0}\n\
             {\"id\": 2.0, \"collection\": \"posts\", \"distance\": 0.0}\n\
             {\"id\": null, \"collection\": \"posts\", \"distance\": 0.0}\n\
             {\"id\": {\"$base64\": true, \"encoded\": \"AP8Q\"}, \"collection\": \"posts\", \"distance\": 0.0}\n"
        );
    }
}
