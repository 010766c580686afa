//! The checks. Each has processes of its own.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet;
use simdex_plugin::{Description, PROTOCOL};

use super::data::{DIM, Model, matrix, vectors};
use super::subject::{Place, Process, Subject};
use super::{Check, Outcome};
use crate::catalog::files::copy_folder;
use crate::error::Result;
use crate::index::plugin::kind::Plugin;
use crate::index::{Job, Kind};
use crate::search::query::Query;

/// Rows of the larger checks, their queries, and how many rows each asks for.
const ROWS: usize = 3000;
const QUERIES: usize = 60;
const K: usize = 10;

/// What an approximate plugin must reach with its default options on so few rows.
const APPROXIMATE: f64 = 0.8;

/// What an exact one must: float32 may round two rows to the same distance.
const EXACT: f64 = 0.995;

/// How a check ended that could be carried out.
pub(super) enum Verdict {
    Passed(String),
    Failed(String),
    NotClaimed,
}

type CheckFn = fn(&Subject<'_>) -> Result<Verdict>;

/// Every check but the first, by name.
pub(super) const CHECKS: &[(&str, CheckFn)] = &[
    ("recall", recall),
    ("one query is answered as in a batch", one_by_one),
    ("more rows asked for than there are", more_than_all),
    ("no rows, one row, equal rows", few_rows),
    ("queries of another size are refused", wrong_size),
    ("a second build replaces the first", rebuilt),
    ("filters", filters),
    ("updates and deletes", updates),
    ("everything deleted", emptied),
    ("restart, in a folder that has moved", restart),
    ("restart after updates", restart_after_updates),
    ("two processes on one folder", two_processes),
    ("searches from several threads", threads),
    ("dropped builds", dropped),
];

fn passed() -> Result<Verdict> {
    Ok(Verdict::Passed(String::new()))
}

fn failed(reason: impl Into<String>) -> Result<Verdict> {
    Ok(Verdict::Failed(reason.into()))
}

/// Whether the description makes sense.
pub(super) fn description(plugin: &Plugin, description: &Description) -> Check {
    let mut wrong = Vec::new();
    if description.protocol != PROTOCOL {
        wrong.push(format!("protocol {}", description.protocol));
    }
    if description.name != plugin.name() {
        wrong.push(format!("it calls itself `{}`", description.name));
    }
    if description.metrics.is_empty() {
        wrong.push("it knows no metric".into());
    }
    if description.about.trim().is_empty() || description.about.contains('\n') {
        wrong.push("`about` is not one line".into());
    }
    if description.drops && !description.persistent {
        wrong.push("it says `drops`, and keeps no folder to tell what".into());
    }
    let mut names = BTreeSet::new();
    for option in &description.options {
        if !names.insert(option.name.as_str()) {
            wrong.push(format!("option `{}` is there twice", option.name));
        }
        for value in std::iter::once(&option.default).chain(&option.sweep) {
            if let Err(reason) = option.check(value) {
                wrong.push(format!("option `{}`: `{value}`: {reason}", option.name));
            }
        }
    }
    let outcome = match wrong.is_empty() {
        true => Outcome::Passed(format!("{} {}", description.name, description.version)),
        false => Outcome::Failed(wrong.join("; ")),
    };
    Check { name: "describe".into(), outcome }
}

/// Fails unless answers name rows that exist, no more than asked for, none twice.
fn proper(answers: &[Vec<u32>], queries: usize, k: usize, model: &Model) -> Result<(), String> {
    if answers.len() != queries {
        return Err(format!("{} answers to {queries} queries", answers.len()));
    }
    for rows in answers {
        if rows.len() > k {
            return Err(format!("{} rows where {k} were asked for", rows.len()));
        }
        if let Some(row) = rows.iter().find(|&&row| !model.has(row)) {
            return Err(format!("row {row}, which is not there or not allowed"));
        }
        if rows.iter().collect::<BTreeSet<_>>().len() != rows.len() {
            return Err("a row twice in one answer".into());
        }
    }
    Ok(())
}

/// Searches, and judges the answers by a model.
fn judge(subject: &Subject<'_>, process: &mut Process<'_>, model: &Model) -> Result<Verdict> {
    let queries = vectors(QUERIES, 7);
    let answers = process.search(&queries, K)?;
    verdict(subject, &queries, &answers, model)
}

fn verdict(
    subject: &Subject<'_>,
    queries: &[f32],
    answers: &[Vec<u32>],
    model: &Model,
) -> Result<Verdict> {
    if let Err(reason) = proper(answers, queries.len() / DIM, K, model) {
        return failed(reason);
    }
    let recall = model.recall(queries, K, answers)?;
    let least = if subject.description.exact { EXACT } else { APPROXIMATE };
    match recall >= least {
        true => Ok(Verdict::Passed(format!("recall@{K} {recall:.3}"))),
        false => failed(format!("recall@{K} {recall:.3}, expected at least {least}")),
    }
}

fn recall(subject: &Subject<'_>) -> Result<Verdict> {
    let rows = vectors(ROWS, 2);
    judge(subject, &mut subject.built(&rows, None)?, &Model::new(&rows, subject.metric))
}

fn one_by_one(subject: &Subject<'_>) -> Result<Verdict> {
    let mut process = subject.built(&vectors(ROWS, 2), None)?;
    let queries = vectors(8, 7);
    let batch = process.search(&queries, K)?;
    for (number, query) in queries.chunks(DIM).enumerate() {
        if process.search(query, K)?.first() != batch.get(number) {
            return failed(format!("query {number} is answered otherwise in a batch"));
        }
    }
    passed()
}

fn more_than_all(subject: &Subject<'_>) -> Result<Verdict> {
    let rows = vectors(30, 2);
    let mut process = subject.built(&rows, None)?;
    let answers = process.search(&vectors(3, 7), 100)?;
    match proper(&answers, 3, 30, &Model::new(&rows, subject.metric)) {
        Ok(()) => passed(),
        Err(reason) => failed(reason),
    }
}

fn few_rows(subject: &Subject<'_>) -> Result<Verdict> {
    let nothing: Vec<Vec<u32>> = vec![Vec::new()];
    let query = vectors(1, 7);
    let none = subject.built(&[], None)?.search(&query, K)?;
    if none != nothing {
        return failed(format!("of no rows, it answered {none:?}"));
    }
    let one = subject.built(&vectors(1, 2), None)?.search(&query, K)?;
    if one != [[0]] {
        return failed(format!("of one row, it answered {one:?}"));
    }
    let equal = vectors(1, 2).repeat(50);
    let found = subject.built(&equal, None)?.search(&query, K)?;
    match proper(&found, 1, K, &Model::new(&equal, subject.metric)) {
        Ok(()) if found.iter().all(Vec::is_empty) => failed("of equal rows, it found none"),
        Ok(()) => passed(),
        Err(reason) => failed(reason),
    }
}

fn wrong_size(subject: &Subject<'_>) -> Result<Verdict> {
    let mut process = subject.built(&vectors(100, 2), None)?;
    for dim in [DIM - 1, DIM + 1] {
        if process.search_of_size(&vec![0.5; dim], dim, K, None).is_ok() {
            return failed(format!("it answered a query of {dim} dimensions; rows have {DIM}"));
        }
        if !process.is_alive() {
            return failed("it did not survive a query of another size; answer with an error");
        }
    }
    process.search(&vectors(1, 7), K)?;
    passed()
}

fn rebuilt(subject: &Subject<'_>) -> Result<Verdict> {
    let mut process = subject.built(&vectors(ROWS, 2), None)?;
    let rows = vectors(500, 3);
    process.build(&rows, None)?;
    judge(subject, &mut process, &Model::new(&rows, subject.metric))
}

fn filters(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.filters {
        return Ok(Verdict::NotClaimed);
    }
    let rows = vectors(ROWS, 2);
    let model = Model::new(&rows, subject.metric);
    let mut process = subject.built(&rows, None)?;
    let queries = vectors(QUERIES, 7);
    let mut figures = Vec::new();
    for step in [2, 100] {
        let mut allowed = FixedBitSet::with_capacity(ROWS);
        allowed.extend((0..ROWS).step_by(step));
        let answers = process.search_among(&queries, K, &allowed)?;
        let model = model.only(|row| allowed.contains(row as usize));
        match verdict(subject, &queries, &answers, &model)? {
            Verdict::Passed(figure) => figures.push(format!("1 in {step}: {figure}")),
            other => return Ok(other),
        }
    }
    let none = process.search_among(&queries[..DIM], K, &FixedBitSet::with_capacity(ROWS))?;
    match none.iter().all(Vec::is_empty) {
        true => Ok(Verdict::Passed(figures.join(", "))),
        false => failed("it found rows where none is allowed"),
    }
}

/// Deletes 300 rows, changes 300 and adds 300.
fn change(process: &mut Process<'_>, model: &mut Model) -> Result<()> {
    let deletes: Vec<u32> = (0..300).map(|i| i * 7).collect();
    let changed = (0..300).map(|i| i * 7 + 1);
    let upserts: Vec<u32> = changed.chain(ROWS as u32..ROWS as u32 + 300).collect();
    let news = vectors(upserts.len(), 5);
    process.apply(&deletes, &upserts, &news)?;
    deletes.iter().for_each(|&row| model.delete(row));
    upserts.iter().zip(news.chunks(DIM)).for_each(|(&row, vector)| model.put(row, vector));
    // A number that was freed may be used again.
    let again = vectors(1, 6);
    process.apply(&[], &[0], &again)?;
    model.put(0, &again);
    Ok(())
}

fn updates(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.updates {
        return Ok(Verdict::NotClaimed);
    }
    let rows = vectors(ROWS, 2);
    let mut model = Model::new(&rows, subject.metric);
    let mut process = subject.built(&rows, None)?;
    change(&mut process, &mut model)?;
    judge(subject, &mut process, &model)
}

fn emptied(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.updates {
        return Ok(Verdict::NotClaimed);
    }
    let mut process = subject.built(&vectors(20, 2), None)?;
    process.apply(&(0..20).collect::<Vec<_>>(), &[], &[])?;
    let (query, nothing) = (vectors(1, 7), vec![Vec::<u32>::new()]);
    let none = process.search(&query, K)?;
    if none != nothing {
        return failed(format!("with every row deleted, it answered {none:?}"));
    }
    process.apply(&[], &[20], &query)?;
    match process.search(&query, K)? {
        one if one == [[20]] => passed(),
        other => failed(format!("with one row added again, it answered {other:?}")),
    }
}

fn restart(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.persistent {
        return Ok(Verdict::NotClaimed);
    }
    let mut place = subject.place()?;
    let queries = vectors(QUERIES, 7);
    let rows = vectors(ROWS, 2);
    let answers = subject.built(&rows, Some(place.path()))?.search(&queries, K)?;
    place.move_away()?;
    let mut process = subject.start()?;
    process.open(place.path(), ROWS)?;
    match process.search(&queries, K)? {
        again if again == answers => passed(),
        _ => failed("it answers otherwise than before"),
    }
}

fn restart_after_updates(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.persistent || !subject.description.updates {
        return Ok(Verdict::NotClaimed);
    }
    let folder = subject.place()?;
    let rows = vectors(ROWS, 2);
    let mut model = Model::new(&rows, subject.metric);
    drop(subject.built(&rows, Some(folder.path()))?);
    let mut process = subject.start()?;
    process.open(folder.path(), ROWS)?;
    change(&mut process, &mut model)?;
    drop(process);
    let mut process = subject.start()?;
    process.open(folder.path(), ROWS + 300)?;
    judge(subject, &mut process, &model)
}

fn two_processes(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.persistent {
        return Ok(Verdict::NotClaimed);
    }
    let folder = subject.place()?;
    let rows = vectors(ROWS, 2);
    drop(subject.built(&rows, Some(folder.path()))?);
    let (mut one, mut other) = (subject.start()?, subject.start()?);
    one.open(folder.path(), ROWS)?;
    other.open(folder.path(), ROWS)?;
    let queries = vectors(QUERIES, 7);
    match one.search(&queries, K)? == other.search(&queries, K)? {
        true => passed(),
        false => failed("two processes answer differently"),
    }
}

fn threads(subject: &Subject<'_>) -> Result<Verdict> {
    let folder = subject.place()?;
    let vectors_of_rows = matrix(&vectors(ROWS, 2))?;
    let job = Job {
        vectors: &vectors_of_rows,
        metric: subject.metric,
        parameters: subject.options,
        folder: Some(folder.path()),
        name: None,
    };
    let sections = subject.plugin.build_in(&job, subject.observer)?;
    let index = subject.plugin.open_in(&job, &sections)?;
    let queries = vectors(8, 7);
    let queries = queries.chunks(DIM).map(|query| Query::from_f32(query, subject.metric));
    let queries: Vec<Query> = queries.collect::<Result<_>>()?;
    let ask = |query: &Query| index.candidates(query, K, None, subject.observer);
    let alone = queries.iter().map(ask).collect::<Result<Vec<_>>>()?;
    let together = std::thread::scope(|scope| {
        let asked: Vec<_> = queries.iter().map(|query| scope.spawn(move || ask(query))).collect();
        asked.into_iter().map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    for (alone, together) in alone.into_iter().zip(together) {
        match together {
            Some(Ok(rows)) if rows == alone => {}
            Some(Err(error)) => return Err(error),
            _ => return failed("a search is answered otherwise while others run"),
        }
    }
    passed()
}

fn dropped(subject: &Subject<'_>) -> Result<Verdict> {
    if !subject.description.drops {
        return Ok(Verdict::NotClaimed);
    }
    let (rows, queries) = (vectors(ROWS, 2), vectors(QUERIES, 7));
    let (cut, first, copy, second) =
        (subject.place()?, subject.place()?, subject.place()?, subject.place()?);
    drop(subject.built(&rows, Some(first.path()))?);
    let answers = subject.built(&rows, Some(second.path()))?.search(&queries, K)?;
    copy_folder(second.path(), copy.path())?;
    let mut dropping = subject.start()?;
    // A build that was cut before it wrote anything; one twice, as after a cut; and a copy, as an
    // update that failed leaves it.
    for gone in [&cut, &first, &first, &copy] {
        dropping.release(gone.path(), Some(second.path()))?;
    }
    let mut process = subject.start()?;
    process.open(second.path(), ROWS)?;
    if process.search(&queries, K)? != answers {
        return failed("the build that stays answers otherwise");
    }
    dropping.release(second.path(), None)?;
    let mut process = subject.start()?;
    let found = process.open(second.path(), ROWS).and_then(|()| process.search(&queries, K));
    [first, copy, second].into_iter().for_each(Place::forget);
    match found {
        Ok(rows) if rows.iter().any(|rows| !rows.is_empty()) => {
            failed("it finds rows of a build that was dropped")
        }
        _ => passed(),
    }
}
