//! Build and refresh: from the rows of a database to a generation on disk.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

use crate::catalog::Definition;
use crate::catalog::files::Wait;
use crate::catalog::folder::{IndexFolder, LockedFolder, Manifest};
use crate::catalog::generation::{Generation, write_delta, write_structure};
use crate::engine::api::{Action, Report, Skipped};
use crate::engine::rows::Rows;
use crate::engine::tidy;
use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::Plugins;
use crate::index::{AnyKind, Index, Job, Previous, Sections};
use crate::observe::Observer;
use crate::search::wear;
use crate::snapshot::diff::Delta;
use crate::snapshot::key::Keys;
use crate::snapshot::segment::SegmentWriter;
use crate::snapshot::write::Writer;
use crate::snapshot::{Snapshot, census::Census};
use crate::store::database::Database;
use crate::store::identity::DatabaseIdentity;
use crate::types::Metric;

/// Builds an index anew.
///
/// # Errors
/// Those of reading the sources and writing the index; then what was built before still stands.
pub(super) fn build(
    database: &Database,
    definition: &Definition,
    folder: &IndexFolder,
    plugins: &Plugins,
    wait: Wait,
    observer: &dyn Observer,
) -> Result<Report> {
    let locked = folder.lock(wait)?;
    let generation = folder.manifest().ok().flatten().map_or(0, |manifest| manifest.generation);
    build_locked(database, definition, &locked, plugins, Before::Built(generation), observer)
}

/// What was there before a build.
#[derive(Clone, Copy)]
enum Before<'a> {
    /// So many builds; all starts anew.
    Built(u64),
    /// A generation to start from, if the kind can.
    Worn(&'a Generation),
}

impl Before<'_> {
    fn number(&self) -> u64 {
        match self {
            Before::Built(number) => *number,
            Before::Worn(generation) => generation.manifest.generation,
        }
    }
}

/// Makes the structure from that of a generation. `None`: it has to be built anew.
///
/// # Errors
/// `Damaged` when that can't be trusted: every byte is checked, since what is taken over would be
/// under a checksum of its own from then on.
fn update(
    kind: &AnyKind,
    job: &Job<'_>,
    snapshot: &Snapshot,
    generation: &Generation,
    folder: &IndexFolder,
    observer: &dyn Observer,
) -> Result<Option<Sections>> {
    if snapshot.dim() != generation.base.dim() || !kind.updates() {
        return Ok(None);
    }
    let (sections, files) = generation.structure(folder)?;
    let same = snapshot.rows_in(&generation.base);
    let rows = generation.base.rows();
    let previous = Previous { sections: &sections, folder: Some(&files), rows, same: &same };
    kind.update_in(job, &previous, observer)
}

fn build_locked(
    database: &Database,
    definition: &Definition,
    locked: &LockedFolder<'_>,
    plugins: &Plugins,
    before: Before<'_>,
    observer: &dyn Observer,
) -> Result<Report> {
    let files = locked.temporary_folder()?;
    let made = make(database, definition, locked, plugins, (before, &files), observer);
    let sections = made.as_ref().ok().map(|(_, sections)| sections);
    let notice = tidy::after_build(definition, locked, plugins, sections, observer);
    match made {
        Ok((mut report, _)) => {
            report.notices.extend(notice);
            Ok(report)
        }
        Err(error) => Err(match notice.filter(|_| error.kind() != ErrorKind::Cancelled) {
            Some(notice) => error.with("left behind", notice),
            None => error,
        }),
    }
}

/// Builds in the empty folder `files`, up to the generation on disk.
fn make(
    database: &Database,
    definition: &Definition,
    locked: &LockedFolder<'_>,
    plugins: &Plugins,
    (before, files): (Before<'_>, &Path),
    observer: &dyn Observer,
) -> Result<(Report, Sections)> {
    let start = Instant::now();
    let (file, rows) = copy_rows(database, definition, locked, observer)?;
    let Copied { snapshot, mut segment, census, seen } = rows;
    let mut notices = Vec::new();
    let mut made = None;
    if let Some(vectors) = snapshot.vectors() {
        let kind = AnyKind::named(&definition.kind, plugins)?;
        let (metric, parameters) = (definition.metric, &definition.parameters);
        let name = Some(definition.id());
        let job = Job { vectors, metric, parameters, folder: Some(files), name };
        let updated = match before {
            Before::Worn(generation) => {
                match update(&kind, &job, &snapshot, generation, locked.folder(), observer) {
                    Err(error) if error.kind() == ErrorKind::Damaged => {
                        notices.push(damage_notice(&definition.name, &error));
                        None
                    }
                    outcome => outcome?,
                }
            }
            Before::Built(_) => None,
        };
        let sections = match updated {
            Some(sections) => sections,
            None => kind.build_in(&job, observer)?,
        };
        write_structure(&mut segment, definition, &sections)?;
        if let AnyKind::BuiltIn(kind) = kind {
            let index = kind.open_in(&job, &sections)?;
            notices.extend(approximate_notice(&definition.name, &*index));
        }
        made = Some((kind, sections));
    } else {
        write_structure(&mut segment, definition, &Sections::new())?;
    }
    observer.checkpoint()?;
    let id = segment.finish()?;
    let mut base = locked.install(file, id)?;
    locked.install_files(files, &base)?;
    locked.record_sound(&mut base)?;
    let manifest = Manifest {
        generation: before.number().saturating_add(1),
        base,
        delta: None,
        seen,
        skipped: census.skipped(),
        built_at: seconds_since_1970(),
        build_seconds: start.elapsed().as_secs_f64(),
    };
    locked.commit(&manifest)?;
    if let (Some((kind, sections)), Some(vectors)) = (&made, snapshot.vectors()) {
        let (metric, parameters) = (definition.metric, &definition.parameters);
        let name = Some(definition.id());
        let job = Job { vectors, metric, parameters, folder: None, name };
        notices.extend(kind.settle(&job, sections, observer)?);
    }
    let report = Report {
        index: definition.name.clone(),
        action: Action::Built,
        rows: snapshot.rows() as u64,
        dimensions: snapshot.dim(),
        upserts: snapshot.rows() as u64,
        deletes: 0,
        skipped: census.skipped(),
        elapsed: start.elapsed(),
        notices,
    };
    Ok((report, made.map(|(_, sections)| sections).unwrap_or_default()))
}

/// What the user is told when a kind picked approximate searches on its own.
fn approximate_notice(name: &str, index: &dyn Index) -> Option<String> {
    let picked = index.picked().filter(|_| !index.is_exact())?;
    Some(format!(
        "searches of index `{name}` are approximate, as {picked}; kind `flat` is always exact"
    ))
}

/// Rows copied into an unfinished segment.
struct Copied {
    snapshot: Snapshot,
    segment: SegmentWriter,
    census: Census,
    seen: Option<DatabaseIdentity>,
}

/// Copies the rows within one transaction, which ends before the structure is built: a long build
/// must not keep writers out.
fn copy_rows(
    database: &Database,
    definition: &Definition,
    locked: &LockedFolder<'_>,
    observer: &dyn Observer,
) -> Result<(NamedTempFile, Copied)> {
    let read = database.read()?;
    let rows = Rows::new(&definition.sources, &read)?;
    let mut dim = None;
    loop {
        let file = locked.temporary()?;
        let mut writer = Writer::new(file.reopen()?, definition.metric, dim)?;
        rows.each("reading", observer, |key, embedding| writer.push(key, embedding))?;
        if !writer.took_the_right_size() {
            dim = writer.census().dimension();
            continue;
        }
        read.confirm()?;
        let census = writer.census().clone();
        let (snapshot, segment) = writer.finish(file.path())?;
        let seen = read.settled_identity().cloned();
        return Ok((file, Copied { snapshot, segment, census, seen }));
    }
}

/// Brings an index up to date, at a cost that follows the number of changed rows where its kind and
/// their number allow; else builds it anew.
///
/// # Errors
/// As [`build`].
pub(super) fn refresh(
    database: &Database,
    definition: &Definition,
    folder: &IndexFolder,
    plugins: &Plugins,
    observer: &dyn Observer,
) -> Result<Report> {
    let start = Instant::now();
    let locked = folder.lock(Wait::Yes)?;
    let mut notices = Vec::new();
    let generation = match Generation::open(definition, folder, plugins) {
        Ok(Some(generation)) => generation,
        Ok(None) => {
            return build_locked(
                database,
                definition,
                &locked,
                plugins,
                Before::Built(0),
                observer,
            );
        }
        Err(error) if error.kind() == ErrorKind::Damaged => {
            notices.push(damage_notice(&definition.name, &error));
            let before = Before::Built(0);
            let mut report =
                build_locked(database, definition, &locked, plugins, before, observer)?;
            report.notices.append(&mut notices);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let read = database.read()?;
    let rows = Rows::new(&definition.sources, &read)?;
    let seen = generation.manifest.seen.as_ref();
    // Searches record changes, however many.
    let worn = is_worn(&generation.base, &generation.delta);
    if !worn && seen.is_some() && seen == read.identity() {
        let report = summarize(definition, &generation, &generation.delta, start);
        return Ok(Report { skipped: generation.manifest.skipped, ..report });
    }
    let (delta, census) = rows.diff(&generation.base, definition.metric, observer)?;
    let Some(delta) = delta.filter(|delta| !is_worn(&generation.base, delta)) else {
        drop(read);
        let before = Before::Worn(&generation);
        return build_locked(database, definition, &locked, plugins, before, observer);
    };
    let seen = read.settled_identity().cloned();
    drop(read);
    record(&locked, &generation, (&delta, definition.metric), &census.skipped(), seen)?;
    let report = summarize(definition, &generation, &delta, start);
    Ok(Report { skipped: census.skipped(), notices, ..report })
}

/// Whether so many changes call for a new base.
pub(super) fn is_worn(base: &Snapshot, delta: &Delta) -> bool {
    wear::is_worn(base.rows() as u64, delta.tail_rows() + delta.gone())
}

/// Writes what a diff found beside the base.
///
/// # Errors
/// `ReadOnly` or `Io`.
pub(super) fn record(
    locked: &LockedFolder<'_>,
    generation: &Generation,
    (delta, metric): (&Delta, Metric),
    skipped: &Skipped,
    seen: Option<DatabaseIdentity>,
) -> Result<()> {
    let mut manifest = Manifest { seen, skipped: *skipped, ..generation.manifest.clone() };
    if !delta.same_rows(&generation.delta) {
        manifest.delta = write_delta(locked, &manifest.base, (delta, metric))?;
    } else if generation.newly_proven.delta
        && let Some(record) = &mut manifest.delta
    {
        locked.record_sound(record)?;
    }
    if generation.newly_proven.base {
        locked.record_sound(&mut manifest.base)?;
    }
    match manifest == generation.manifest {
        true => Ok(()),
        false => locked.commit(&manifest),
    }
}

/// What the user is told when files of an index can't be used.
pub(super) fn damage_notice(index: &str, error: &Error) -> String {
    format!("index `{index}` was damaged and has been rebuilt from the database: {error}")
}

fn summarize(
    definition: &Definition,
    generation: &Generation,
    delta: &Delta,
    start: Instant,
) -> Report {
    let before = &generation.delta;
    let tail = |delta: &Delta| -> Vec<(Vec<u8>, u64)> {
        let Some(tail) = &delta.tail else { return Vec::new() };
        let row = |row| (tail.keys().get(row).to_vec(), tail.fingerprint(row));
        let mut rows: Vec<_> = (0..tail.rows()).map(row).collect();
        rows.sort_unstable();
        rows
    };
    let (old, new) = (tail(before), tail(delta));
    let lacks = |rows: &[(Vec<u8>, u64)], row: &(Vec<u8>, u64)| rows.binary_search(row).is_err();
    let upserted: Vec<_> = new.iter().filter(|row| lacks(&old, row)).collect();
    let base_keys: &Keys = generation.base.keys();
    let newly_gone = delta.tombstones.difference(&before.tombstones);
    let gone_keys = newly_gone.map(|row| base_keys.get(row));
    let dropped_keys = old.iter().filter(|row| lacks(&new, row)).map(|(key, _)| key.as_slice());
    let replaced = |key: &&[u8]| upserted.binary_search_by(|(k, _)| k.as_slice().cmp(key)).is_ok();
    let deletes = gone_keys.chain(dropped_keys).filter(|key| !replaced(key)).count() as u64;
    let upserts = upserted.len() as u64;
    Report {
        index: definition.name.clone(),
        action: if upserts + deletes == 0 { Action::Unchanged } else { Action::Refreshed },
        rows: generation.base.rows() as u64 - delta.gone() + delta.tail_rows(),
        dimensions: generation.base.dim(),
        upserts,
        deletes,
        skipped: Skipped::default(),
        elapsed: start.elapsed(),
        notices: Vec::new(),
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
