//! `index show`: everything about one index.

use std::time::{Duration, SystemTime};

use simdex::engine::api::{BuiltInfo, IndexInfo, IndexState, SourceInfo};

use crate::app::App;
use crate::args::Style;
use crate::args::index::ShowArgs;
use crate::commands::collections::skipped;
use crate::output::table::{bytes, count, facts, seconds};

type Facts = Vec<(String, String)>;

pub(super) fn run(args: &ShowArgs, app: &App) -> anyhow::Result<()> {
    let index = app.engine()?.index(&args.name)?;
    match args.style.style() {
        Style::Json => app.printer().json(&index),
        Style::Text => app.printer().line(&facts(&everything(&index))),
    }
}

fn everything(index: &IndexInfo) -> Facts {
    let mut list = Facts::new();
    push(&mut list, "index", &index.name);
    push(&mut list, "kind", &index.kind);
    push(&mut list, "metric", index.metric);
    for (name, value) in &index.parameters {
        push(&mut list, "parameter", format!("{name} = {value}"));
    }
    for source in &index.sources {
        push(&mut list, source.store, describe(source));
    }
    if !index.default_for.is_empty() {
        push(&mut list, "default of", index.default_for.join(", "));
    }
    match &index.state {
        IndexState::NotBuilt => push(&mut list, "state", "not built; searches read the database"),
        IndexState::Damaged { reason } => {
            push(&mut list, "state", format!("damaged, the next search rebuilds it: {reason}"));
        }
        IndexState::Built(built) => push_built(&mut list, built),
    }
    push(&mut list, "folder", index.folder.display());
    list
}

fn describe(source: &SourceInfo) -> String {
    let mut text = source.name.clone();
    if let Some(model) = &source.model {
        text += &format!(", model {model}");
    }
    if let Some((id, embedding)) = &source.columns {
        text += &format!(", id column {id}, embedding column {embedding}");
    }
    if let Some(filter) = &source.filter {
        text += &format!(", where {filter}");
    }
    text
}

fn push_built(list: &mut Facts, built: &BuiltInfo) {
    let state = match built.fresh {
        true => "up to date",
        false => "the next search looks for changes in the database",
    };
    push(list, "state", state);
    push(list, "rows", count(built.rows));
    push(list, "dimensions", built.dimensions);
    push(list, "can't be searched", skipped(&built.skipped));
    push(list, "newer rows", count(built.tail));
    push(list, "rows gone", count(built.tombstones));
    push(list, "size", bytes(built.bytes));
    push(list, "built", format!("{}, in {}", ago(built.built_at), seconds(built.build_seconds)));
    push(list, "generation", built.generation);
    list.extend(built.facts.iter().cloned());
}

fn push(list: &mut Facts, label: &str, value: impl ToString) {
    list.push((label.to_owned(), value.to_string()));
}

fn ago(at: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at));
    match at.and_then(|at| at.elapsed().ok()) {
        Some(elapsed) => format!("{} ago", indicatif::HumanDuration(elapsed)),
        None => "at an unknown time".to_owned(),
    }
}
