//! `collections`: what is in the database.

use simdex::engine::api::{CollectionInfo, Skipped};

use crate::app::App;
use crate::args::{ListArgs, Style};
use crate::output::table::{Align, count, table};

const COLUMNS: [(&str, Align); 6] = [
    ("collection", Align::Left),
    ("model", Align::Left),
    ("rows", Align::Right),
    ("dimensions", Align::Right),
    ("indexes", Align::Left),
    ("can't be searched", Align::Left),
];

pub(super) fn run(args: &ListArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    let progress = app.progress()?;
    let collections = engine.collections(&progress)?;
    progress.clear();
    match args.style() {
        Style::Json => app.printer().json(&collections),
        Style::Text if collections.is_empty() => {
            app.printer().note("the database has no collections");
            Ok(())
        }
        Style::Text => app.printer().line(&table(&COLUMNS, collections.iter().map(row).collect())),
    }
}

fn row(collection: &CollectionInfo) -> Vec<String> {
    vec![
        collection.name.clone(),
        collection.model.clone().unwrap_or_else(|| "-".to_owned()),
        count(collection.rows),
        collection.dimensions.map_or_else(|| "-".to_owned(), |number| number.to_string()),
        indexes(collection),
        skipped(&collection.skipped),
    ]
}

/// Names, the default marked as `git branch` marks.
fn indexes(collection: &CollectionInfo) -> String {
    let default = collection.default_index.as_deref();
    let names = collection.indexes.iter().map(|name| {
        let mark = if Some(name.as_str()) == default { "*" } else { "" };
        format!("{name}{mark}")
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// Rows that can't be searched and why.
pub(super) fn skipped(skipped: &Skipped) -> String {
    let reasons = skipped.reasons();
    let parts = reasons.iter().map(|(reason, rows)| format!("{}: {reason}", count(*rows)));
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named() {
        assert_eq!(skipped(&Skipped::default()), "-");
        let some = Skipped { null: 1200, zero: 1, ..Skipped::default() };
        assert_eq!(skipped(&some), "1,200: NULL embedding, 1: zero vector");
    }
}
