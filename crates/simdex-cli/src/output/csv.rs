//! CSV with a header, for spreadsheets and `sqlite-utils insert --csv`.

use std::io::{self, Write};

use super::python_json::repr;
use super::{Column, Format, Row, Rows, Shape};

/// The columns of the JSON objects; NULL is empty, blobs are written `x'0102'`.
#[derive(Debug)]
pub(crate) struct Csv;

impl Format for Csv {
    fn write(&self, shape: Shape, rows: &mut Rows<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(header(shape)).map_err(into_io)?;
        for row in rows {
            writer.write_record(record(shape, &row)).map_err(into_io)?;
        }
        writer.flush()
    }
}

fn header(shape: Shape) -> Vec<&'static str> {
    let mut names = vec!["id"];
    if shape.collection == Column::Shown {
        names.push("collection");
    }
    names.push(shape.score());
    if shape.content == Column::Shown {
        names.extend(["content", "metadata"]);
    }
    names
}

fn record(shape: Shape, row: &Row<'_>) -> Vec<String> {
    let found = row.found;
    let id = match found.id {
        simdex::store::Id::Null => String::new(),
        simdex::store::Id::Real(value) => repr(value),
        ref id => id.to_string(),
    };
    let mut fields = vec![id];
    if shape.collection == Column::Shown {
        fields.push(found.source.clone());
    }
    fields.push(repr(found.score));
    if shape.content == Column::Shown {
        fields.push(found.content.clone().unwrap_or_default());
        fields.push(row.metadata.json().unwrap_or_default().to_owned());
    }
    fields
}

/// Keeps a broken pipe recognisable.
fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{SEARCH, SIMILAR, found, text};
    use super::*;
    use simdex::store::Id;

    #[test]
    fn fields_are_quoted_where_needed() {
        let rows = [
            found(Id::text("a,b"), 0.5, Some("two\n\"lines\""), Some(r#"{"a":1}"#)),
            found(Id::Blob(vec![1, 2]), 1.0, None, None),
        ];
        assert_eq!(
            text(&Csv, SIMILAR, &rows),
            "id,score,content,metadata\n\"a,b\",0.5,\"two\n\"\"lines\"\"\",\"{\"\"a\"\": 1}\"\nx'0102',1.0,,\n"
        );
    }

    #[test]
    fn columns_follow_the_search() {
        let rows = [found(Id::Real(2.0), 4.0, None, None)];
        assert_eq!(text(&Csv, SEARCH, &rows), "id,collection,distance\n2.0,posts,4.0\n");
        assert_eq!(text(&Csv, SEARCH, &[]), "id,collection,distance\n");
    }
}
