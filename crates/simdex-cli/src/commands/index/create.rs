//! `index create`: defines an index and builds it.

use simdex::engine::api::{IndexInfo, MakeDefault, ModelRule, NewIndex, NewSource, Report};
use simdex::error::Hint;

use crate::app::App;
use crate::args::index::CreateArgs;
use crate::output::table::{rows, seconds};
use crate::shell::quote;

pub(super) fn run(args: &CreateArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    let index = engine.define(definition(args))?;
    app.printer().line(&defined(&index))?;
    if args.no_build {
        app.printer().next(&format!("{} index build {}", app.command(), quote(&index.name)));
        return Ok(());
    }
    let progress = app.progress()?;
    let result = engine.build(&index.name, &progress);
    progress.clear();
    let report = result.inspect_err(|_| {
        let again = Hint::command("build it", ["index", "build", &index.name]);
        let (name, again) = (&index.name, again.line(&app.command()));
        let note =
            format!("index {name} is defined, but not built: searches read every row; {again}");
        app.printer().note(&note);
    })?;
    app.printer().notes(&report.notices);
    app.printer().line(&built(&report))?;
    app.printer().next(&search(&index, app));
    Ok(())
}

fn definition(args: &CreateArgs) -> NewIndex {
    NewIndex {
        name: args.name.clone(),
        sources: sources(args),
        kind: args.kind.clone(),
        metric: args.metric,
        parameters: args.parameters.iter().cloned().collect(),
        default: match (args.default.yes, args.default.no) {
            (true, _) => MakeDefault::Yes,
            (_, true) => MakeDefault::No,
            _ => MakeDefault::IfNone,
        },
        models: if args.allow_models { ModelRule::Any } else { ModelRule::Same },
    }
}

fn sources(args: &CreateArgs) -> Vec<NewSource> {
    let table = args.source.table.clone().map(|table| NewSource::Table {
        table,
        id_column: args.id_column.clone(),
        embedding_column: args.embedding_column.clone(),
        filter: args.condition.clone(),
    });
    let collections = args.source.collections.iter().cloned().map(NewSource::Collection);
    collections.chain(table).collect()
}

/// What was defined, in a sentence.
fn defined(index: &IndexInfo) -> String {
    let sources: Vec<_> = index.sources.iter().map(|source| source.name.as_str()).collect();
    let default = match index.default_for.as_slice() {
        [] => String::new(),
        names => format!("; the default of {}", names.join(", ")),
    };
    format!(
        "created index {} over {}: {}, {}{default}",
        index.name,
        sources.join(", "),
        index.kind,
        index.metric
    )
}

/// What was built, in a sentence.
pub(in crate::commands) fn built(report: &Report) -> String {
    let skipped = match report.skipped.total() {
        0 => String::new(),
        _ => format!(
            "; can't be searched: {}",
            crate::commands::collections::skipped(&report.skipped)
        ),
    };
    format!(
        "built index {}: {} of {} dimensions in {}{skipped}",
        report.index,
        rows(report.rows),
        report.dimensions,
        seconds(report.elapsed.as_secs_f64())
    )
}

/// A search that goes through the new index.
fn search(index: &IndexInfo, app: &App) -> String {
    let program = app.command();
    match index.default_for.first() {
        Some(collection) => format!("{program} similar {} ID", quote(collection)),
        None => format!("{program} search {} ID", quote(&index.name)),
    }
}
