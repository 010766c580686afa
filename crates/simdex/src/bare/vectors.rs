//! Vectors that come and go, under an index of any kind.

use std::collections::HashSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::index::flat::{self, FlatIndex};
use crate::index::{self, Kind, Parameters};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Slab};
use crate::observe::{Observer, Silent};
use crate::search::query::Query;
use crate::search::wear;
use crate::types::{Hit, Metric};

use super::layer::{Gathered, Layer, check_rows};
use super::places::Places;

/// How vectors are indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// A name from [`crate::index::KINDS`].
    pub kind: String,
    /// The metric.
    pub metric: Metric,
    /// Parameters of the kind, as `--set` takes them.
    pub parameters: Parameters,
}

/// What vectors are called.
#[derive(Debug, Clone, Copy)]
pub enum Ids<'a> {
    /// The first is 0, the next 1.
    RowNumbers,
    /// One for each vector, no two the same.
    Given(&'a [u64]),
}

/// Vectors in memory or in a mapped file, under an index of any kind.
///
/// The base holds the vectors as of the last build or fold. What is added later lies in layers
/// beside it that are searched exactly; what is removed is masked. Once the changes are more than a
/// tenth of the base, and more than a few thousand, they are folded: they become part of the base,
/// within the call that made them so many. A graph takes them in, and is built anew only after
/// many; other kinds are built anew.
pub struct Vectors {
    pub(super) recipe: Recipe,
    pub(super) kind: &'static dyn Kind,
    pub(super) dim: usize,
    /// The base, then what was added; later layers are smaller.
    pub(super) layers: Vec<Layer>,
    /// The id that the next vector gets if none is given.
    pub(super) next: u64,
    /// Made when something is first added by id or removed.
    places: Option<Places>,
    /// The file that is mapped, if any.
    pub(super) segment: Option<crate::snapshot::segment::Segment>,
}

/// The kind of the layers beside the base.
pub(super) const ADDED: &dyn Kind = &flat::Flat;

impl Vectors {
    /// Indexes `vectors`. Their memory is kept, not copied.
    ///
    /// # Errors
    /// `Invalid` for an unknown kind, parameters, ids or vectors that can't be used; `Cancelled`.
    pub fn build(
        recipe: Recipe,
        vectors: Matrix,
        ids: Ids<'_>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let kind = index::kind(&recipe.kind)?;
        kind.check(recipe.metric, &recipe.parameters)?;
        check_rows(vectors.values(), vectors.dim(), recipe.metric)?;
        let ids = numbers(ids, 0, vectors.rows())?;
        let next = after(&ids, 0);
        let dim = vectors.dim();
        let base = Layer::build(kind, &recipe, vectors, Slab::from_slice(&ids), observer)?;
        Ok(Self::from_layers(recipe, kind, dim, vec![base], next))
    }

    pub(super) fn from_layers(
        recipe: Recipe,
        kind: &'static dyn Kind,
        dim: usize,
        layers: Vec<Layer>,
        next: u64,
    ) -> Self {
        Self { recipe, kind, dim, layers, next, places: None, segment: None }
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.layers.iter().map(Layer::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of dimensions.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.recipe.metric
    }

    /// How the vectors are indexed.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Facts about the structure: (label, value).
    pub fn facts(&self) -> Vec<(String, String)> {
        let mut facts = self.layers.first().map(Layer::facts).unwrap_or_default();
        facts.push(("changed since the base was made".into(), self.changes().to_string()));
        facts
    }

    /// The ids, in no particular order.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.layers.iter().flat_map(|layer| layer.live().map(|row| layer.id(row)))
    }

    /// The `k` vectors closest to `query`, closest first, ties by id; fewer where there are fewer.
    ///
    /// # Errors
    /// `Invalid` when the query has another number of dimensions, is not finite or, under cosine,
    /// is zero.
    pub fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>> {
        if query.len() != self.dim {
            let (got, expected) = (query.len(), self.dim);
            let message = format!("a query of {got} dimensions, expected {expected}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(self.search_batch(query, k)?.into_iter().next().unwrap_or_default())
    }

    /// [`Vectors::search`] for several queries (q × dim, row-major): faster than one by one.
    ///
    /// # Errors
    /// As [`Vectors::search`].
    pub fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
        if !queries.len().is_multiple_of(self.dim) {
            let message = format!("{} values are not queries of {}", queries.len(), self.dim);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let metric = self.metric();
        let queries: Vec<Query> = queries
            .chunks(self.dim)
            .map(|query| Query::from_f32(query, metric))
            .collect::<Result<_>>()?;
        let mut hits = vec![Vec::new(); queries.len()];
        if k > 0 {
            for layer in &self.layers {
                layer.search(&queries, k, &mut hits, &Silent)?;
            }
        }
        for hits in &mut hits {
            hits.sort_unstable_by(|a, b| {
                metric.closer_first(a.score, b.score).then(a.id.cmp(&b.id))
            });
            hits.truncate(k);
        }
        Ok(hits)
    }

    /// Adds `vectors` (n × dim, row-major) and returns their ids, which follow on the highest so far.
    /// O(n · dim), and now and then what taking the layers into the base costs.
    ///
    /// # Errors
    /// `Invalid` for vectors that can't be used; then nothing is added.
    pub fn add(&mut self, vectors: &[f32]) -> Result<Range<u64>> {
        let first = self.next;
        self.insert(vectors, Ids::RowNumbers)?;
        Ok(first..self.next)
    }

    /// [`Vectors::add`] under ids of one's own.
    ///
    /// # Errors
    /// As [`Vectors::add`]; `AlreadyExists` when a vector has one of the ids.
    pub fn add_with_ids(&mut self, vectors: &[f32], ids: &[u64]) -> Result<()> {
        self.insert(vectors, Ids::Given(ids))
    }

    fn insert(&mut self, vectors: &[f32], ids: Ids<'_>) -> Result<()> {
        let dim = self.dim;
        if !vectors.len().is_multiple_of(dim) {
            let message = format!("{} values are not rows of {dim}", vectors.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        check_rows(vectors, dim, self.metric())?;
        let ids = numbers(ids, self.next, vectors.len() / dim)?;
        let recipe = self.added();
        let places = places(&mut self.places, &self.layers)?;
        if let Some(id) = ids.iter().find(|&&id| places.contains(id)) {
            let message = format!("there is a vector with the id {id}");
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if ids.is_empty() {
            return Ok(());
        }
        // Layers of like sizes become one, so that there are few and each row is copied few times.
        let (mut kept, mut rows) = (self.layers.len(), ids.len());
        while kept > 1 && self.layers[kept - 1].len() <= 2 * rows {
            kept -= 1;
            rows += self.layers[kept].len();
        }
        let mut all = Gathered::new(dim, rows)?;
        self.layers[kept..].iter().for_each(|layer| all.take(layer));
        vectors.chunks(dim).zip(&ids).for_each(|(vector, &id)| all.push(vector, id));
        let layer = all.index(ADDED, &recipe, &Silent)?;
        self.layers.truncate(kept);
        places.note(kept, &layer);
        self.layers.push(layer);
        self.next = after(&ids, self.next);
        self.fold_if_worn()
    }

    /// Removes the vectors with these ids and returns how many there were; others are ignored.
    ///
    /// # Errors
    /// Those of taking the changes into the base, which may follow.
    pub fn remove(&mut self, ids: &[u64]) -> Result<usize> {
        let places = places(&mut self.places, &self.layers)?;
        let mut removed = 0;
        for &id in ids {
            if let Some(place) = places.remove(id)
                && let Some(layer) = self.layers.get_mut(place.layer as usize)
            {
                layer.remove(place.row as usize);
                removed += 1;
            }
        }
        self.fold_if_worn()?;
        Ok(removed)
    }

    /// Sets a parameter that applies to searches, such as a graph's `recall`; others count for what
    /// is built from then on. O(1).
    ///
    /// # Errors
    /// `Invalid` when the kind has no such parameter or the value can't be used.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let mut recipe = self.recipe.clone();
        recipe.parameters.insert(name.to_owned(), value.to_owned());
        self.kind.check(recipe.metric, &recipe.parameters)?;
        if let Some(base) = self.layers.first_mut() {
            base.reopen(self.kind, &recipe)?;
        }
        self.recipe = recipe;
        Ok(())
    }

    /// Builds all anew over the vectors there are.
    ///
    /// # Errors
    /// `Cancelled`, and those of the kind; then all is as before.
    pub fn rebuild(&mut self, observer: &dyn Observer) -> Result<()> {
        let base = Layer::of_several(self.kind, &self.recipe, &self.layers, observer)?;
        self.replace_layers(base);
        Ok(())
    }

    fn replace_layers(&mut self, base: Layer) {
        self.layers = vec![base];
        self.places = None;
        self.segment = None;
    }

    /// Makes the layers one, once those beside the base cost searches more than that.
    fn fold_if_worn(&mut self) -> Result<()> {
        let base = self.layers.first().map_or(0, Layer::rows);
        if wear::is_worn(base as u64, self.changes()) {
            let base = Layer::folded(self.kind, &self.recipe, &self.layers, &Silent)?;
            self.replace_layers(base);
        }
        Ok(())
    }

    /// Rows added and removed since the base was built.
    fn changes(&self) -> u64 {
        let Some((base, added)) = self.layers.split_first() else { return 0 };
        let added: usize = added.iter().map(Layer::len).sum();
        (base.gone() + added) as u64
    }

    /// How layers beside the base are indexed.
    pub(super) fn added(&self) -> Recipe {
        let kind = ADDED.name().to_owned();
        Recipe { kind, metric: self.metric(), parameters: Parameters::new() }
    }

    /// The base of a flat index on another instruction set.
    pub(super) fn with_kernels(mut self, kernels: Kernels) -> Self {
        let metric = self.metric();
        let open = |base: Layer| {
            let vectors = base.vectors.clone();
            match FlatIndex::open(kernels, vectors, metric, &base.sections) {
                Ok(index) => base.with_index(Box::new(index)),
                Err(_) => base,
            }
        };
        let base = self.layers.drain(..1).next().map(open);
        self.layers.splice(0..0, base);
        self
    }

    /// Reads all of it: checksums of a mapped file, ids, and every value. O(size).
    ///
    /// # Errors
    /// `Damaged`, saying what is wrong.
    pub fn verify(&self) -> Result<()> {
        if let Some(segment) = &self.segment {
            segment.check()?;
        }
        for layer in &self.layers {
            layer.check(self.metric()).map_err(|error| {
                Error::new(ErrorKind::Damaged, "a vector can't be compared").source(error)
            })?;
        }
        if let Some(id) = self.ids().find(|&id| id >= self.next && id != u64::MAX) {
            let message = format!("the id {id} is not below {}", self.next);
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        Places::of(&self.layers).map(drop)
    }
}

impl std::fmt::Debug for Vectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Recipe { kind, metric, .. } = &self.recipe;
        write!(f, "Vectors({} × {}, {metric}, {kind})", self.len(), self.dim)
    }
}

/// The places, made if they are not yet.
fn places<'a>(made: &'a mut Option<Places>, layers: &[Layer]) -> Result<&'a mut Places> {
    Ok(match made {
        Some(places) => places,
        none => none.insert(Places::of(layers)?),
    })
}

/// The ids of `rows` vectors.
fn numbers(ids: Ids<'_>, next: u64, rows: usize) -> Result<Vec<u64>> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    match ids {
        Ids::RowNumbers => match next.checked_add(rows as u64) {
            Some(end) => Ok((next..end).collect()),
            None => invalid("there are no higher ids left".into()),
        },
        Ids::Given(ids) if ids.len() != rows => {
            invalid(format!("{} ids for {rows} vectors", ids.len()))
        }
        Ids::Given(ids) => {
            let mut seen = HashSet::with_capacity(rows);
            match ids.iter().find(|&&id| !seen.insert(id)) {
                Some(id) => invalid(format!("the id {id} is given twice")),
                None => Ok(ids.to_vec()),
            }
        }
    }
}

/// The id after all of these; the highest there is can't be followed.
fn after(ids: &[u64], next: u64) -> u64 {
    ids.iter().max().map_or(next, |&highest| next.max(highest.saturating_add(1)))
}
