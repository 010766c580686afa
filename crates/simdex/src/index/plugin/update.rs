//! Taking changes in: a copy of an earlier build's files, brought up to date by the plugin.

use std::path::Path;

use serde_json::Value;
use simdex_plugin::{ApplyParams, Call, OpenParams};

use crate::catalog::files::copy_folder;
use crate::error::{Context, ErrorKind, Result};
use crate::index::plugin::call::Failure;
use crate::index::plugin::kind::{NUMBERS, Plugin, Record};
use crate::index::plugin::numbers::{self, Renumbered};
use crate::index::plugin::scratch::Scratch;
use crate::index::{Job, Previous, Sections};
use crate::observe::Observer;

/// Beyond this share of changed rows a build is as fast, and leaves a better structure.
const MOST_CHANGES: f64 = 0.5;

/// Makes `job`'s index from an earlier build. `None`: the plugin can't, or it has failed; the folder
/// is empty again, and a build may do better.
///
/// # Errors
/// `Cancelled`; `Io`.
pub(super) fn update(
    plugin: &Plugin,
    job: &Job<'_>,
    previous: &Previous<'_>,
    observer: &dyn Observer,
) -> Result<Option<Sections>> {
    let (Some(folder), Some(earlier)) = (job.folder, previous.folder) else { return Ok(None) };
    let Ok(record) = Record::read(previous.sections) else { return Ok(None) };
    let changes = previous.same.iter().filter(|same| same.is_none()).count();
    if record.files.is_none() || changes as f64 > MOST_CHANGES * job.vectors.rows() as f64 {
        return Ok(None);
    }
    match updated(plugin, job, (earlier, folder), previous, &record, observer) {
        Ok(Some(sections)) => Ok(Some(sections)),
        Ok(None) => Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::Plugin | ErrorKind::Damaged) => {
            tracing::debug!(%error, "changes could not be taken in");
            clear(folder)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn updated(
    plugin: &Plugin,
    job: &Job<'_>,
    (earlier, folder): (&Path, &Path),
    previous: &Previous<'_>,
    record: &Record,
    observer: &dyn Observer,
) -> Result<Option<Sections>> {
    let numbers = record.numbers(previous.sections, previous.rows)?;
    let mut session = plugin.start(observer)?;
    let description = session.description();
    // Another version might write another form.
    if !description.updates || !description.persistent || description.version != record.version {
        return Ok(None);
    }
    copy_folder(earlier, folder)?;
    let open = OpenParams {
        folder: folder.to_owned(),
        metric: job.metric.into(),
        options: job.parameters.clone(),
        threads: rayon::current_num_threads(),
        rows: numbers.bound() as u64,
        dimensions: job.vectors.dim() as u64,
    };
    session.call::<Value>(Call::Open(open), observer).map_err(as_plugins)?;
    let Renumbered { numbers: new, deletes, upserts } = numbers.renumber(previous.same);
    let mut scratch = Scratch::new()?;
    let upserted: Vec<u32> = upserts.iter().map(|(_, number)| *number).collect();
    let vectors = upserts.iter().map(|(row, _)| job.vectors.row(*row));
    let apply = ApplyParams {
        deletes: scratch.numbers(&deletes)?,
        upserts: scratch.numbers(&upserted)?,
        vectors: scratch.floats(vectors, job.vectors.dim())?,
    };
    session.call::<Value>(Call::Apply(apply), observer).map_err(as_plugins)?;
    let highest = new.iter().map(|&number| u64::from(number) + 1).max().unwrap_or(0);
    let bound = highest.max(numbers.bound() as u64);
    let record = Plugin::recorded(&mut session, Some(folder), Some(bound), observer)?;
    let numbers = (NUMBERS.to_owned(), numbers::section(&new));
    Ok(Some(Sections::from([record.section()?, numbers])))
}

fn as_plugins(failure: Failure) -> crate::Error {
    failure.into()
}

/// Removes all that is in a folder.
fn clear(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).context("folder", folder.display())? {
        let path = entry.context("folder", folder.display())?.path();
        let removed = match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.context("path", path.display())?;
    }
    Ok(())
}
