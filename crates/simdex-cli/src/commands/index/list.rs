//! `index list`.

use simdex::engine::api::{IndexInfo, IndexState};

use crate::app::App;
use crate::args::{ListArgs, Style};
use crate::output::table::{Align, bytes, count, table};

const COLUMNS: [(&str, Align); 8] = [
    ("index", Align::Left),
    ("kind", Align::Left),
    ("metric", Align::Left),
    ("covers", Align::Left),
    ("default of", Align::Left),
    ("rows", Align::Right),
    ("size", Align::Right),
    ("state", Align::Left),
];

pub(super) fn run(args: &ListArgs, app: &App) -> anyhow::Result<()> {
    let indexes = app.engine()?.indexes()?;
    match args.style() {
        Style::Json => app.printer().json(&indexes),
        Style::Text if indexes.is_empty() => {
            app.printer().note("the database has no indexes");
            app.printer().next(&format!("{} index create NAME -c COLLECTION", app.command()));
            Ok(())
        }
        Style::Text => app.printer().line(&table(&COLUMNS, indexes.iter().map(row).collect())),
    }
}

fn row(index: &IndexInfo) -> Vec<String> {
    let covers: Vec<_> = index.sources.iter().map(|source| source.name.as_str()).collect();
    let (rows, size) = match &index.state {
        IndexState::Built(built) => (count(built.rows), bytes(built.bytes)),
        _ => ("-".to_owned(), "-".to_owned()),
    };
    vec![
        index.name.clone(),
        index.kind.clone(),
        index.metric.to_string(),
        covers.join(", "),
        if index.default_for.is_empty() { "-".to_owned() } else { index.default_for.join(", ") },
        rows,
        size,
        state(&index.state).to_owned(),
    ]
}

fn state(state: &IndexState) -> &'static str {
    match state {
        IndexState::NotBuilt => "not built",
        IndexState::Damaged { .. } => "damaged",
        IndexState::Built(built) if built.fresh => "up to date",
        IndexState::Built(_) => "to be checked",
    }
}
