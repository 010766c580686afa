//! `quickstart`: sample data, an index, a search, and what to try next.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use simdex::engine::api::{
    Answer, Content, Filter, MakeDefault, ModelRule, NewIndex, NewSource, Number, QueryBy,
    SearchRequest, Target, Through,
};
use simdex::observe::Observer;
use simdex::{Engine, ErrorKind};

use super::index::built;
use crate::app::App;
use crate::args::QuickstartArgs;
use crate::failure::UserError;
use crate::output::table::{Align, count, seconds, table};
use crate::paths::{self, Because};
use crate::shell::{self, quote};

mod sample;

use sample::{COLLECTION, Found};

/// The package whose neighbours are shown.
const EXAMPLE: &str = "seaborn";

pub(super) fn run(args: &QuickstartArgs, app: &App) -> anyhow::Result<()> {
    if app.names_database() {
        let error = UserError::new("quickstart writes a database of its own and takes no -d");
        return Err(error.hint("choose its folder with --directory DIR").into());
    }
    let database = args.directory.join("embeddings.db");
    let found = sample::prepare(&database)?;
    app.printer().line(&sentence(found, &database))?;

    let engine = app.engine_at(database.clone())?;
    let progress = app.progress()?;
    app.printer().line(&index(&engine, &progress)?)?;

    let started = Instant::now();
    let answer = engine.search(&example(), &progress)?;
    let elapsed = started.elapsed();
    progress.clear();
    app.printer().notes(&answer.notices);
    app.printer().line(&results(&answer, elapsed))?;

    app.printer().line(&next(&database, app, &progress))
}

fn sentence(found: Found, database: &Path) -> String {
    let path = database.display();
    match found {
        Found::New => format!("wrote {path}: {} PyPI packages", count(sample::ROWS as u64)),
        Found::Ours => format!("{path} is there already, from an earlier quickstart"),
    }
}

/// Defines and builds the index or, on a second run, brings it up to date.
fn index(engine: &Engine, observer: &dyn Observer) -> anyhow::Result<String> {
    match engine.define(definition()) {
        Ok(_) => Ok(built(&engine.build(COLLECTION, observer)?)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let report = engine.refresh(COLLECTION, observer)?;
            let elapsed = seconds(report.elapsed.as_secs_f64());
            Ok(format!("index {COLLECTION} is there already; brought up to date in {elapsed}"))
        }
        Err(error) => Err(error.into()),
    }
}

fn definition() -> NewIndex {
    NewIndex {
        name: COLLECTION.to_owned(),
        sources: vec![NewSource::Collection(COLLECTION.to_owned())],
        kind: None,
        metric: None,
        parameters: Default::default(),
        default: MakeDefault::IfNone,
        models: ModelRule::Same,
    }
}

fn example() -> SearchRequest {
    SearchRequest {
        target: Target::Collection(COLLECTION.to_owned(), Through::Default),
        by: QueryBy::Id { source: Some(COLLECTION.to_owned()), id: EXAMPLE.to_owned() },
        number: Number::AtMost(5),
        filter: Filter::default(),
        content: Content::Omit,
    }
}

fn results(answer: &Answer, elapsed: Duration) -> String {
    let rows = answer.matches.iter();
    let rows = rows.map(|found| vec![found.id.to_string(), format!("{:.4}", found.score)]);
    let table = table(&[("package", Align::Left), ("score", Align::Right)], rows.collect());
    let elapsed = seconds(elapsed.as_secs_f64());
    format!("packages whose summaries are closest to that of {EXAMPLE}, in {elapsed}:\n\n{table}\n")
}

/// Three commands to copy: for the user's own database where there is one, else for the sample.
fn next(sample: &Path, app: &App, observer: &dyn Observer) -> String {
    let program = shell::this_program();
    let own = paths::database(None).ok().filter(|own| own.check().is_ok());
    let collection = own.as_ref().and_then(|own| largest(own.path.clone(), app, observer));
    match (own, collection) {
        (Some(own), Some(collection)) => {
            let collection = quote(&collection);
            format!(
                "Try next, on your own database {}:\n  \
                 {program} collections\n  \
                 {program} index create {collection} -c {collection}\n  \
                 {program} similar {collection} -c 'some text'",
                own.path.display()
            )
        }
        _ => {
            let path = shell::path(sample);
            format!(
                "Try next; put the path of your own database after -d{}:\n  \
                 {program} collections -d {path}\n  \
                 {program} similar {COLLECTION} tornado -n 3 --plain -d {path}\n  \
                 {program} index show {COLLECTION} -d {path}",
                where_llms_would_be()
            )
        }
    }
}

/// The collection of the user's database with the most rows.
fn largest(database: PathBuf, app: &App, observer: &dyn Observer) -> Option<String> {
    let collections = app.engine_at(database).ok()?.collections(observer).ok()?;
    let largest = collections.into_iter().max_by_key(|collection| collection.rows)?;
    Some(largest.name)
}

fn where_llms_would_be() -> String {
    match paths::database(None) {
        Ok(own) if own.because == Because::Default => {
            format!(" (llm would have its own at {})", own.path.display())
        }
        _ => String::new(),
    }
}
