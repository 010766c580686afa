//! Vectors that were indexed together.

use fixedbitset::FixedBitSet;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Job, Kind, Previous, Sections};
use crate::matrix::{Matrix, MatrixBuilder, Slab};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::{Hit, Metric};

use super::vectors::Recipe;

/// Immutable vectors under one structure; rows can only go.
pub(super) struct Layer {
    pub(super) vectors: Matrix,
    pub(super) ids: Slab<u64>,
    /// What the kind made.
    pub(super) sections: Sections,
    /// Rows that are not gone; `None`: all.
    live: Option<FixedBitSet>,
    /// `None` when there are no rows.
    index: Option<Box<dyn Index>>,
}

impl Layer {
    /// Indexes vectors; each has its id.
    pub(super) fn build(
        kind: &dyn Kind,
        recipe: &Recipe,
        vectors: Matrix,
        ids: Slab<u64>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let sections = match vectors.rows() {
            0 => Sections::new(),
            _ => kind.build(&vectors, recipe.metric, &recipe.parameters, observer)?,
        };
        Self::open(kind, recipe, vectors, ids, sections)
    }

    /// Opens what was built.
    ///
    /// # Errors
    /// `Damaged` when the parts don't fit each other.
    pub(super) fn open(
        kind: &dyn Kind,
        recipe: &Recipe,
        vectors: Matrix,
        ids: Slab<u64>,
        sections: Sections,
    ) -> Result<Self> {
        if ids.len() != vectors.rows() {
            let message = format!("{} ids for {} rows", ids.len(), vectors.rows());
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        let index = match vectors.rows() {
            0 => None,
            _ => Some(kind.open(vectors.clone(), recipe.metric, &recipe.parameters, &sections)?),
        };
        Ok(Self { vectors, ids, sections, live: None, index })
    }

    /// The rows of several layers that are not gone, indexed together.
    pub(super) fn of_several(
        kind: &dyn Kind,
        recipe: &Recipe,
        layers: &[Self],
        observer: &dyn Observer,
    ) -> Result<Self> {
        Gathered::of(layers)?.index(kind, recipe, observer)
    }

    /// [`Layer::of_several`], from the structure of the first where its kind can start from that.
    pub(super) fn folded(
        kind: &dyn Kind,
        recipe: &Recipe,
        layers: &[Self],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let gathered = Gathered::of(layers)?;
        let Some(base) = layers.first() else { return gathered.index(kind, recipe, observer) };
        let Gathered { vectors, ids } = gathered;
        let (vectors, ids) = (vectors.finish()?, Slab::from_slice(&ids));
        // Its rows come first.
        let mut same: Vec<Option<u32>> = base.live().map(|row| Some(row as u32)).collect();
        same.resize(vectors.rows(), None);
        let Recipe { metric, parameters, .. } = recipe;
        let job = Job { vectors: &vectors, metric: *metric, parameters, folder: None, name: None };
        let (sections, rows) = (&base.sections, base.rows());
        let previous = Previous { sections, folder: None, rows, same: &same };
        match kind.update_in(&job, &previous, observer)? {
            Some(sections) => Self::open(kind, recipe, vectors, ids, sections),
            None => Self::build(kind, recipe, vectors, ids, observer),
        }
    }

    /// Opens what was built with other parameters.
    ///
    /// # Errors
    /// Those of the kind; then all is as before.
    pub(super) fn reopen(&mut self, kind: &dyn Kind, recipe: &Recipe) -> Result<()> {
        if self.rows() > 0 {
            let Recipe { metric, parameters, .. } = recipe;
            let index = kind.open(self.vectors.clone(), *metric, parameters, &self.sections)?;
            self.index = Some(index);
        }
        Ok(())
    }

    /// The same rows under another way of searching them.
    pub(super) fn with_index(self, index: Box<dyn Index>) -> Self {
        Self { index: Some(index), ..self }
    }

    /// All rows, those that are gone too.
    pub(super) fn rows(&self) -> usize {
        self.vectors.rows()
    }

    /// Rows that are not gone.
    pub(super) fn len(&self) -> usize {
        self.live.as_ref().map_or(self.rows(), |live| live.count_ones(..))
    }

    /// How many rows are gone.
    pub(super) fn gone(&self) -> usize {
        self.rows() - self.len()
    }

    /// The rows that are not gone, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = usize> {
        let is_live = |&row: &usize| self.live.as_ref().is_none_or(|live| live.contains(row));
        (0..self.rows()).filter(is_live)
    }

    /// The rows that are, in order.
    pub(super) fn gone_rows(&self) -> impl Iterator<Item = usize> {
        self.live.iter().flat_map(FixedBitSet::zeroes)
    }

    pub(super) fn id(&self, row: usize) -> u64 {
        self.ids.get(row).copied().unwrap_or(u64::MAX)
    }

    /// Takes a row away.
    pub(super) fn remove(&mut self, row: usize) {
        let rows = self.rows();
        let live = self.live.get_or_insert_with(|| {
            let mut all = FixedBitSet::with_capacity(rows);
            all.insert_range(..);
            all
        });
        if row < rows {
            live.set(row, false);
        }
    }

    /// Adds the closest of this layer's rows to each query's hits, unsorted: `k`, or all.
    pub(super) fn search(
        &self,
        queries: &[Query],
        k: usize,
        hits: &mut [Vec<Hit>],
        observer: &dyn Observer,
    ) -> Result<()> {
        let Some(index) = &self.index else { return Ok(()) };
        let found = index.nearest_batch(queries, &self.vectors, k, self.live.as_ref(), observer)?;
        for ((hits, query), near) in hits.iter_mut().zip(queries).zip(found) {
            // Ties are among them, and go by id, not by row.
            let last = near.get(k.wrapping_sub(1)).or(near.last()).map(|last| last.score);
            let is_near =
                |score| last.is_some_and(|last| query.metric().closer_first(score, last).is_le());
            let near = near.into_iter().take_while(|near| is_near(near.score));
            hits.extend(near.map(|near| Hit { id: self.id(near.row as usize), score: near.score }));
        }
        Ok(())
    }

    /// Facts that the kind tells.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        self.index.as_ref().map(|index| index.facts()).unwrap_or_default()
    }

    /// Reads all of it: every row finite and comparable.
    pub(super) fn check(&self, metric: Metric) -> Result<()> {
        check_rows(self.vectors.values(), self.vectors.dim(), metric)
    }
}

/// Rows to be indexed together.
pub(super) struct Gathered {
    vectors: MatrixBuilder,
    ids: Vec<u64>,
}

impl Gathered {
    /// Room for `rows` rows.
    pub(super) fn new(dim: usize, rows: usize) -> Result<Self> {
        Ok(Self { vectors: MatrixBuilder::new(dim, rows)?, ids: Vec::with_capacity(rows) })
    }

    /// The rows of several layers that are not gone, in the layers' order.
    fn of(layers: &[Layer]) -> Result<Self> {
        let dim = layers.first().map_or(1, |layer| layer.vectors.dim());
        let mut rows = Self::new(dim, layers.iter().map(Layer::len).sum())?;
        layers.iter().for_each(|layer| rows.take(layer));
        Ok(rows)
    }

    pub(super) fn push(&mut self, vector: &[f32], id: u64) {
        self.vectors.add_row().copy_from_slice(vector);
        self.ids.push(id);
    }

    /// Copies the rows of a layer that are not gone.
    pub(super) fn take(&mut self, layer: &Layer) {
        layer.live().for_each(|row| self.push(layer.vectors.row(row), layer.id(row)));
    }

    pub(super) fn index(
        self,
        kind: &dyn Kind,
        recipe: &Recipe,
        observer: &dyn Observer,
    ) -> Result<Layer> {
        let ids = Slab::from_slice(&self.ids);
        Layer::build(kind, recipe, self.vectors.finish()?, ids, observer)
    }
}

/// Refuses rows of `dim` values that have no score.
pub(crate) fn check_rows(values: &[f32], dim: usize, metric: Metric) -> Result<()> {
    for (number, row) in values.chunks(dim).enumerate() {
        let fault = if !row.iter().all(|value| value.is_finite()) {
            "holds a value that is not finite"
        } else if metric == Metric::Cosine && row.iter().all(|&value| value == 0.0) {
            "is zero, which has no cosine similarity to anything"
        } else {
            continue;
        };
        return Err(Error::new(ErrorKind::Invalid, format!("row {number} {fault}")));
    }
    Ok(())
}
