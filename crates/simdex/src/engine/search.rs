//! Search: the rows as they are now, through an index where there is one.

use std::collections::HashSet;

use crate::catalog::files::Wait;
use crate::catalog::folder::{IndexFolder, Manifest};
use crate::catalog::generation::Generation;
use crate::engine::Engine;
use crate::engine::api::*;
use crate::engine::build::{self, record};
use crate::engine::rows::Rows;
use crate::engine::scope::Scope;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::index::{Index, tail};
use crate::observe::Observer;
use crate::search::filter::KeyFilter;
use crate::search::merge::Layers;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::search::topk::{Scored, TopK};
use crate::snapshot::census::Census;
use crate::snapshot::diff::Delta;
use crate::snapshot::key;
use crate::store::Id;
use crate::store::blob;
use crate::store::database::{Database, ReadTransaction};
use crate::store::source::{FoundRow, Relation, Source, Stored};
use crate::types::Metric;

/// A tail beyond this many bytes of vectors is not written by a search: that is for `refresh`.
const MOST_LEARNED: u64 = 64 << 20;

/// A generation, brought up to the rows as they are now.
pub(super) struct View {
    pub(super) generation: Generation,
    /// What to search beside the base.
    pub(super) delta: Delta,
    /// The structure over the delta's rows.
    pub(super) tail: Option<Box<dyn Index>>,
    /// Set when the rows had to be compared.
    pub(super) diff: Option<Census>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let View { generation, delta, diff, .. } = self;
        write!(f, "View({generation:?}, {} newer, {diff:?})", delta.tail_rows())
    }
}

impl View {
    /// Rows that can't be searched.
    pub(super) fn skipped(&self) -> Skipped {
        self.diff.as_ref().map_or(self.generation.manifest.skipped, Census::skipped)
    }
}

impl Engine {
    /// Finds the rows closest to a query, as the database is at this moment.
    ///
    /// # Errors
    /// `NotFound` for unknown names and ids, `Invalid` for queries and filters that can't be used,
    /// `Busy` when a writer keeps the database locked, `Cancelled`.
    pub fn search(&self, request: &SearchRequest, observer: &dyn Observer) -> Result<Answer> {
        let mut notices = Vec::new();
        let mut database = self.database()?;
        for (alias, path) in &request.filter.attach {
            database.attach(alias, path)?;
        }
        let scope = self.scope(&request.target, &database.read()?, &mut notices)?;
        let generation = self.generation(&scope, &database, &mut notices, observer)?;
        let read = database.read()?;
        let search = Search::prepare(request, &scope, &read, observer)?;
        let view = match generation {
            Some(generation) => search.view(generation, observer)?,
            None => None,
        };
        let (rows, plan) = match &view {
            Some(view) => search.through(view, &mut notices, observer)?,
            None => search.scan(observer)?,
        };
        let matches = search.describe(rows, request.content, &mut notices)?;
        read.confirm()?;
        if let (Some(view), Some((_, folder))) = (&view, &scope.index) {
            keep(view, folder, scope.metric, &read);
        }
        Ok(Answer { matches, metric: scope.metric, plan, notices })
    }

    /// The model whose vectors `target` holds, for queries by text.
    ///
    /// # Errors
    /// `NotFound` for unknown names.
    pub fn model(&self, target: &Target) -> Result<Option<String>> {
        let database = self.database()?;
        let scope = self.scope(target, &database.read()?, &mut Vec::new())?;
        let model = |source: &Source| match source {
            Source::Collection { model, .. } => model.clone(),
            Source::Table { .. } => None,
        };
        Ok(scope.candidates().find_map(|(_, source)| model(source)))
    }

    /// Opens the index of a scope. A damaged one is rebuilt if it can be; `None`: scan instead.
    pub(super) fn generation(
        &self,
        scope: &Scope,
        database: &Database,
        notices: &mut Vec<String>,
        observer: &dyn Observer,
    ) -> Result<Option<Generation>> {
        let Some((definition, folder)) = &scope.index else { return Ok(None) };
        let name = &definition.name;
        let damage = match Generation::open(definition, folder, &self.plugins) {
            Ok(Some(generation)) => return Ok(Some(generation)),
            Ok(None) => {
                let build = Hint::command("build it", ["index", "build", name]);
                notices.push(format!(
                    "index `{name}` is not built yet, so the rows were read from the database; {build}"
                ));
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => error,
            Err(error) => {
                notices.push(format!("searching without index `{name}`: {error}"));
                return Ok(None);
            }
        };
        match build::build(database, definition, folder, &self.plugins, Wait::No, observer) {
            Ok(report) => {
                notices.push(build::damage_notice(name, &damage));
                notices.extend(report.notices);
                Generation::open(definition, folder, &self.plugins)
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                notices.push(format!(
                    "index `{name}` is damaged and could not be rebuilt, so the rows were read \
                     from the database: {damage}; {error}"
                ));
                Ok(None)
            }
        }
    }
}

/// Brings a generation up to date: by the files' identity if that proves that nothing changed, else
/// by comparing all rows. `None`: they are of another size now.
pub(super) fn view(
    mut generation: Generation,
    rows: &Rows<'_>,
    metric: Metric,
    observer: &dyn Observer,
) -> Result<Option<View>> {
    let seen = generation.manifest.seen.as_ref();
    if seen.is_some() && seen == rows.transaction().identity() {
        let (delta, tail) = (generation.delta.clone(), generation.tail.take());
        return Ok(Some(View { generation, delta, tail, diff: None }));
    }
    let (delta, census) = rows.diff(&generation.base, metric, observer)?;
    let Some(delta) = delta else { return Ok(None) };
    let tail = match delta.same_rows(&generation.delta) {
        true => generation.tail.take(),
        false => tail::of_new(&delta, metric)?,
    };
    Ok(Some(View { generation, delta, tail, diff: Some(census) }))
}

/// A search within one transaction.
struct Search<'a> {
    scope: &'a Scope,
    rows: Rows<'a>,
    query: Query,
    filter: KeyFilter,
    k: usize,
}

impl<'a> Search<'a> {
    fn prepare(
        request: &SearchRequest,
        scope: &'a Scope,
        read: &'a ReadTransaction<'a>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let rows = Rows::new(&scope.sources, read)?;
        let (query, skipped) = match &request.by {
            QueryBy::Vector(vector) => (Query::new(vector, scope.metric)?, None),
            QueryBy::Id { source, id } => {
                let (key, vector) = find_row(source.as_deref(), id, scope, &rows)?;
                (Query::from_f32(&vector, scope.metric)?, Some(key))
            }
        };
        let allowed = allowed_keys(&request.filter, scope, &rows, observer)?;
        let filter = KeyFilter { allowed, skipped, source: scope.only };
        let k = match request.number {
            Number::AtMost(k) => k,
            Number::All => usize::MAX,
        };
        Ok(Self { scope, rows, query, filter, k })
    }

    /// The generation as the rows are now. `None`: scan, because the rows are of another size now, or
    /// because one of several collections is searched and not all rows are of one size: the size of
    /// the collection may be another than the index's.
    fn view(&self, generation: Generation, observer: &dyn Observer) -> Result<Option<View>> {
        let view = view(generation, &self.rows, self.scope.metric, observer)?;
        Ok(view.filter(|view| self.scope.only.is_none() || view.skipped().other_size == 0))
    }

    fn through(
        &self,
        view: &View,
        notices: &mut Vec<String>,
        observer: &dyn Observer,
    ) -> Result<(Vec<Scored>, Plan)> {
        let View { generation, delta, tail, diff } = view;
        let base = &generation.base;
        let plan = Plan {
            index: self.scope.index.as_ref().map(|(definition, _)| definition.name.clone()),
            reason: self.scope.reason.clone(),
            rows: base.rows() as u64 - delta.gone() + delta.tail_rows(),
            tail: delta.tail_rows(),
            diffed: diff.is_some(),
        };
        if plan.rows == 0 {
            return Ok((Vec::new(), plan));
        }
        self.check_size(base.dim())?;
        let layers =
            Layers { base, index: generation.index.as_deref(), delta, tail: tail.as_deref() };
        let (top, failure) =
            layers.search_or_exact(&self.query, self.k, &self.filter, || self.top(), observer)?;
        notices.extend(failure.as_ref().map(without_plugin));
        Ok((top.finish(), plan))
    }

    /// Compares the query with every row that SQLite holds.
    fn scan(&self, observer: &dyn Observer) -> Result<(Vec<Scored>, Plan)> {
        let mut top = self.top();
        let mut census = Census::default();
        let dim = self.query.dim();
        self.rows.each("searching", observer, |bytes, embedding| {
            let source = bytes.first_chunk().copied().map(u32::from_be_bytes);
            if self.scope.only.is_some() && source != self.scope.only {
                return Ok(());
            }
            match blob::check(embedding, self.scope.metric) {
                Err(defect) => census.defect(defect),
                Ok(blob) => {
                    census.sound(blob.len() / 4);
                    if blob.len() / 4 == dim && self.filter.admits(bytes) {
                        let score = exact_score(&self.query, &blob::decode(blob));
                        if top.admits(score) {
                            let (source, id) = key::decode(bytes)?;
                            top.push(Scored { score, source, id });
                        }
                    }
                }
            }
            Ok(())
        })?;
        if let Some(dim) = census.dimension() {
            self.check_size(dim)?;
        }
        let plan = Plan {
            index: None,
            reason: self.scope.reason.clone(),
            rows: census.searchable(),
            tail: 0,
            diffed: false,
        };
        Ok((top.finish(), plan))
    }

    fn top(&self) -> TopK {
        let names: Vec<_> = self.scope.sources.iter().map(Source::name).collect();
        TopK::new(self.scope.metric, self.k, &names)
    }

    fn check_size(&self, dim: usize) -> Result<()> {
        if self.query.dim() == dim {
            return Ok(());
        }
        let message = format!(
            "the query has {} dimensions, the rows of {} have {dim}",
            self.query.dim(),
            self.scope.describe()
        );
        Err(Error::new(ErrorKind::Invalid, message)
            .hint("embed the query with the model that the collection was embedded with"))
    }

    /// Adds names, content and metadata to the rows found.
    fn describe(
        &self,
        rows: Vec<Scored>,
        content: Content,
        notices: &mut Vec<String>,
    ) -> Result<Vec<Match>> {
        let mut matches = Vec::with_capacity(rows.len());
        for Scored { score, source, id } in rows {
            let place = source as usize;
            let (Some(from), Some(relation)) =
                (self.scope.sources.get(place), self.rows.relations().get(place))
            else {
                notices.push(format!("a row of an unknown source ({source}) was left out"));
                continue;
            };
            let stored = match content {
                Content::Fetch => relation.stored(&id, self.rows.transaction())?,
                Content::Omit => Stored::default(),
            };
            let Stored { content, metadata } = stored;
            let source = from.name().to_owned();
            matches.push(Match { source, id, score, content, metadata });
        }
        Ok(matches)
    }
}

/// What the user is told when a plugin is of no use.
pub(super) fn without_plugin(error: &Error) -> String {
    let hint = error.next_step().map_or_else(String::new, |hint| format!("; {hint}"));
    format!("every row was compared, because {error}{hint}")
}

/// Finds the row that a user named by id: its key and its vector.
fn find_row(
    source: Option<&str>,
    typed: &str,
    scope: &Scope,
    rows: &Rows<'_>,
) -> Result<(Vec<u8>, Vec<f32>)> {
    if let Some(name) = source
        && !scope.candidates().any(|(_, source)| source.name() == name)
    {
        let message = format!("`{name}` is not among the sources");
        let hint = format!("sources: {}", scope.describe());
        return Err(Error::new(ErrorKind::NotFound, message).hint(hint));
    }
    let mut found = Vec::new();
    for (number, candidate) in scope.candidates() {
        let Some(relation) = rows.relations().get(number as usize) else { continue };
        if source.is_none_or(|name| name == candidate.name())
            && let Some((id, vector)) = find_typed(relation, typed, scope, rows)?
        {
            found.push((candidate.name(), number, id, vector));
        }
    }
    let (first, rest) = match found.split_first() {
        Some(found) => found,
        None => {
            let place = source.map_or_else(|| scope.describe(), |name| format!("`{name}`"));
            let message = format!("there is no id `{typed}` in {place}");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
    };
    if !rest.is_empty() {
        let names: Vec<_> = found.iter().map(|(name, ..)| format!("`{name}`")).collect();
        let message = format!("the id `{typed}` is in {}", names.join(" and "));
        return Err(Error::new(ErrorKind::Invalid, message).hint("say which one with --from"));
    }
    let (name, number, id, vector) = first;
    match vector {
        Ok(vector) => Ok((key::encoded(*number, id), vector.clone())),
        Err(defect) => {
            let message = format!("`{typed}` can't be compared: {}", defect.describe());
            Err(Error::new(ErrorKind::Invalid, message).with("source", name))
        }
    }
}

/// A row by what the user typed: as text, else as the number it spells.
fn find_typed(
    relation: &Relation,
    typed: &str,
    scope: &Scope,
    rows: &Rows<'_>,
) -> Result<Option<FoundRow>> {
    let read = rows.transaction();
    if let Some(found) = relation.find(&Id::text(typed), scope.metric, read)? {
        return Ok(Some(found));
    }
    let number = typed.parse().map(Id::Integer).or_else(|_| typed.parse().map(Id::Real));
    match number {
        // To SQLite a NaN is NULL, and there may be a row without an id.
        Ok(Id::Real(number)) if number.is_nan() => Ok(None),
        Ok(number) => relation.find(&number, scope.metric, read),
        Err(_) => Ok(None),
    }
}

/// The keys that a filter admits; `None`: there is no condition.
fn allowed_keys(
    filter: &Filter,
    scope: &Scope,
    rows: &Rows<'_>,
    observer: &dyn Observer,
) -> Result<Option<HashSet<Vec<u8>>>> {
    if filter.prefix.is_none() && filter.condition.is_none() && filter.ids.is_none() {
        return Ok(None);
    }
    let mut keys = HashSet::new();
    for (number, _) in scope.candidates() {
        let Some(relation) = rows.relations().get(number as usize) else { continue };
        relation.ids_where(filter, rows.transaction(), observer, |id| {
            keys.insert(key::encoded(number, &id));
            Ok(())
        })?;
    }
    Ok(Some(keys))
}

/// Keeps what a search had to find out, so that the next one is instant. Best effort: another
/// process may be at it, and the place may be read-only.
pub(super) fn keep(view: &View, folder: &IndexFolder, metric: Metric, read: &ReadTransaction<'_>) {
    let View { generation, delta, diff, .. } = view;
    let vectors = delta.tail_rows() * generation.base.dim() as u64 * 4;
    let learned = match (diff, read.settled_identity()) {
        (Some(census), Some(seen)) if vectors <= MOST_LEARNED => Some((census, seen.clone())),
        _ => None,
    };
    if learned.is_none() && !generation.newly_proven.any() {
        return;
    }
    let Ok(locked) = folder.lock(Wait::No) else { return };
    if !matches!(folder.manifest(), Ok(Some(manifest)) if manifest == generation.manifest) {
        return;
    }
    let kept = match learned {
        Some((census, seen)) => {
            record(&locked, generation, (delta, metric), &census.skipped(), Some(seen))
        }
        None => {
            let Manifest { skipped, ref seen, .. } = generation.manifest;
            record(&locked, generation, (&generation.delta, metric), &skipped, seen.clone())
        }
    };
    if let Err(error) = kept {
        tracing::debug!(%error, "what a search learned was not kept");
    }
}
