//! `compare`: kinds of index measured against each other.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use anyhow::Context as _;
use simdex::Metric;
use simdex::compare::{self, CompareRequest, Comparison, Contender, Contest, Threads};
use simdex::index::plugin::Plugins;
use simdex::observe::Observer;
use simdex_transfer::npy;

use crate::app::App;
use crate::args::Style;
use crate::args::compare::CompareArgs;
use crate::failure::UserError;
use crate::output::compare::{html, json, text};

pub(super) fn run(args: &CompareArgs, app: &App) -> anyhow::Result<()> {
    if let Some(path) = &args.html {
        check_page(path)?;
    }
    let (comparison, title) = match (&args.files.vectors, &args.name) {
        (Some(vectors), _) => (files(vectors, args, app)?, name(vectors)),
        (None, Some(name)) => (collection(name, args, app)?, name.clone()),
        (None, None) => return Err(UserError::new("name a collection, or --vectors").into()),
    };
    app.printer().notes(&comparison.notices);
    match args.style() {
        Style::Json => app.printer().json(&json::report(&comparison))?,
        Style::Text => app.printer().line(&text::report(&comparison))?,
    }
    if let Some(path) = &args.html {
        let page = html::page(&title, &comparison);
        std::fs::write(path, page).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

/// Refuses what a page can't be written to before anything is measured, and what is no page.
fn check_page(path: &Path) -> Result<(), UserError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let message =
            format!("can't write {}: there is no folder {}", path.display(), folder.display());
        return Err(UserError::new(message));
    }
    if path.is_dir() {
        let message = format!("can't write {}: it is a folder", path.display());
        return Err(UserError::new(message));
    }
    let mut start = Vec::new();
    let found =
        File::open(path).and_then(|file| file.take(HTML.len() as u64).read_to_end(&mut start));
    match found {
        Ok(length) if length > 0 && !start.eq_ignore_ascii_case(HTML) => {
            let message = format!("{} is there already, and is not a page", path.display());
            Err(UserError::new(message).hint("name another file"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritable(path, &error)),
    }
}

/// What pages begin with.
const HTML: &[u8] = b"<!doctype html>";

fn unwritable(path: &Path, error: &std::io::Error) -> UserError {
    UserError::new(format!("can't write {}: {error}", path.display()))
}

/// The indexes of a collection, on its rows.
fn collection(name: &str, args: &CompareArgs, app: &App) -> anyhow::Result<Comparison> {
    let request = CompareRequest {
        name: name.to_owned(),
        tries: args.tries.clone(),
        k: args.k,
        queries: held_out(args)?,
        threads: threads(args),
    };
    let engine = app.engine()?;
    let progress = app.progress()?;
    Ok(engine.compare(&request, &progress)?)
}

fn threads(args: &CompareArgs) -> Threads {
    Threads { builds: args.build_threads.or(args.threads), searches: args.threads }
}

/// `--queries` as a number.
fn held_out(args: &CompareArgs) -> Result<Option<usize>, UserError> {
    let Some(given) = &args.queries else { return Ok(None) };
    match given.to_str().map(str::parse) {
        Some(Ok(number)) => Ok(Some(number)),
        _ => {
            let given = given.display();
            let message = format!("--queries `{given}` is not a number of rows to hold out");
            Err(UserError::new(message).hint("a file of queries goes with --vectors BASE.npy"))
        }
    }
}

/// Kinds, on vectors in files.
fn files(vectors: &Path, args: &CompareArgs, app: &App) -> anyhow::Result<Comparison> {
    let metric = args.files.metric.unwrap_or(Metric::Cosine);
    let contenders = contenders(args, metric)?;
    let queries = query_file(args)?;
    let progress = app.progress()?;
    let truth = args.files.truth.as_deref();
    let contest = Contest {
        queries: npy::vectors(queries, &progress)?,
        truth: truth.map(|path| npy::row_numbers(path, &progress)).transpose()?,
        base: npy::vectors(vectors, &progress)?,
        contenders,
        k: args.k,
        threads: threads(args),
    };
    progress.checkpoint()?;
    compare::run(&contest, &progress).with_context(|| format!("comparing on {}", vectors.display()))
}

fn contenders(args: &CompareArgs, metric: Metric) -> simdex::Result<Vec<Contender>> {
    let parameters = args.files.parameters.iter().cloned().collect();
    match &args.files.kind {
        Some(kind) => {
            let plugins = Plugins::from_environment();
            Ok(vec![Contender::new(kind, parameters, metric, &plugins)?])
        }
        None => Ok(Contender::every_kind(metric).collect()),
    }
}

/// `--queries` as a file.
fn query_file(args: &CompareArgs) -> Result<&Path, UserError> {
    match args.queries.as_deref() {
        Some(path) if path.exists() || path.to_str().is_none_or(|t| t.parse::<u64>().is_err()) => {
            Ok(path)
        }
        _ => Err(UserError::new("with --vectors, --queries is a .npy file of queries")
            .hint("a number of rows to hold out goes with a COLLECTION")),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
