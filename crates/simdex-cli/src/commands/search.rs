//! `search`: everything that an index covers. What it shares with `similar` is here, too.

use anyhow::Context as _;
use simdex::Engine;
use simdex::engine::api::{Answer, Content as Contents, Match, QueryBy, SearchRequest, Target};
use simdex::observe::Observer;

use crate::app::App;
use crate::args::query::{OutputArgs, SearchArgs};
use crate::embed::Embedder;
use crate::failure::UserError;
use crate::output::{self, Column, Metadata, Row, Shape};
use crate::progress::Progress;
use crate::query::{self, Content, Question};

pub(super) fn run(args: &SearchArgs, app: &App) -> anyhow::Result<()> {
    let target = match args.exact {
        true => Target::IndexExact(args.index.clone()),
        false => Target::Index(args.index.clone()),
    };
    let inquiry = Inquiry {
        target,
        id_source: args.from.clone(),
        question: query::question(&args.query, app.printer())?,
        filter: query::filter(&args.filter)?,
    };
    answer(inquiry, &args.output, Column::Shown, app)
}

/// A search before its text is embedded.
pub(super) struct Inquiry {
    pub(super) target: Target,
    /// The collection whose item an id names.
    pub(super) id_source: Option<String>,
    pub(super) question: Question,
    pub(super) filter: simdex::engine::api::Filter,
}

/// Searches and prints.
pub(super) fn answer(
    inquiry: Inquiry,
    options: &OutputArgs,
    collection: Column,
    app: &App,
) -> anyhow::Result<()> {
    let engine = app.engine()?;
    let progress = app.progress()?;
    let (by, asked) = resolve(&engine, &inquiry, &progress)?;
    let contents = if options.no_content { Contents::Omit } else { Contents::Fetch };
    let request = SearchRequest {
        target: inquiry.target,
        by,
        number: query::number(options.number),
        filter: inquiry.filter,
        content: contents,
    };
    let result = engine.search(&request, &progress).map_err(anyhow::Error::from);
    let answer = match asked {
        Some(who) => result.with_context(|| format!("comparing with the embedding from {who}"))?,
        None => result?,
    };
    progress.clear();
    let content = if options.no_content { Column::Left } else { Column::Shown };
    let shape = Shape { metric: answer.metric, collection, content };
    print(&answer, shape, options, app, &progress)
}

/// The query for the engine and, where text had to be embedded, who did that.
fn resolve(
    engine: &Engine,
    inquiry: &Inquiry,
    progress: &Progress,
) -> anyhow::Result<(QueryBy, Option<String>)> {
    match &inquiry.question {
        Question::Id(id) => {
            Ok((QueryBy::Id { source: inquiry.id_source.clone(), id: id.clone() }, None))
        }
        Question::Vector(vector) => Ok((QueryBy::Vector(vector.clone()), None)),
        Question::Content(content) => {
            let (vector, who) = embed(engine, &inquiry.target, content, progress)?;
            Ok((QueryBy::Vector(vector), Some(who)))
        }
    }
}

fn embed(
    engine: &Engine,
    target: &Target,
    content: &Content,
    progress: &Progress,
) -> anyhow::Result<(Vec<f64>, String)> {
    let model = engine.model(target)?.ok_or_else(|| {
        UserError::new("this can't be searched by text: its rows don't say which model made them")
            .hint("give an ID or --vector")
    })?;
    let embedder = Embedder::find(&model)?;
    let who = embedder.name();
    let content = content.clone();
    let vector =
        progress.during(&format!("embedding with {who}"), move || embedder.embed(&content))?;
    Ok((vector, who))
}

fn print(
    answer: &Answer,
    shape: Shape,
    options: &OutputArgs,
    app: &App,
    progress: &Progress,
) -> anyhow::Result<()> {
    let printer = app.printer();
    printer.notes(&answer.notices);
    printer.detail(&plan(answer));
    let mut not_json = NotJson::default();
    printer.data(|out| {
        let rows = answer.matches.iter().take_while(|_| !progress.is_cancelled());
        let mut rows = rows.map(Row::new).inspect(|row| not_json.see(row));
        output::format(&options.format).write(shape, &mut rows, out)?;
        Ok(())
    })?;
    progress.checkpoint()?;
    if let Some(note) = not_json.note() {
        printer.note(&note);
    }
    Ok(())
}

fn plan(answer: &Answer) -> String {
    let plan = &answer.plan;
    let through =
        plan.index.as_deref().map_or("no index".to_owned(), |name| format!("index {name}"));
    let looked = if plan.diffed { "; the database had changed" } else { "" };
    format!(
        "{through} ({}): {} rows, {} of them newer than the index{looked}",
        plan.reason, plan.rows, plan.tail
    )
}

/// Counts the rows whose metadata is not JSON.
#[derive(Debug, Default)]
struct NotJson<'a> {
    first: Option<&'a Match>,
    rows: u64,
}

impl<'a> NotJson<'a> {
    fn see(&mut self, row: &Row<'a>) {
        if matches!(row.metadata, Metadata::NotJson(_)) {
            self.first.get_or_insert(row.found);
            self.rows += 1;
        }
    }

    fn note(&self) -> Option<String> {
        let first = self.first?;
        let rows = output::table::rows(self.rows);
        Some(format!(
            "metadata that is not JSON is shown as text: {rows}, the first is `{}`",
            first.id
        ))
    }
}
