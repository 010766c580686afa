//! The rows closest to each row of a collection, kept in step with its changes.
//!
//! After a change only three kinds of lists can differ: that of a row which is new or has changed, those
//! that named a row which has changed or is gone, and those that a row which is new or has changed
//! comes into. The first two are searched anew among all rows. For the third, every other row searches
//! the new rows alone; whatever enters its old list is found that way, because the old list holds the
//! closest of the rows that stayed. So the result is, to the last digit, that of computing everything.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::engine::api::Skipped;
use crate::engine::walk::{Standing, Walk};
use crate::error::Result;
use crate::index::flat::{self, Flat};
use crate::index::{Index, Kind, Parameters};
use crate::matrix::{Matrix, MatrixBuilder};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::snapshot::fingerprint;
use crate::store::blob;
use crate::store::database::text;
use crate::types::{Metric, Neighbor};

/// Queries in one call of the index: enough to gain from a batch, few enough for progress to move.
const TOGETHER: usize = 1024;

/// Below so many searches, codes cost more to make than they spare.
const WORTH_CODES: usize = 64;

/// Once a part of so many of the lists must be searched anew, all of them are.
const WORTH_KEEPING: usize = 4;

/// The rows of a collection that have a place in lists, as of one moment.
#[derive(Debug, Clone)]
pub struct Vectors {
    /// Their ids, in the order in which SQLite stores them.
    pub ids: Vec<String>,
    /// A fingerprint of each vector's bytes.
    pub fingerprints: Vec<u64>,
    /// The vectors; `None`: there are none.
    pub vectors: Option<Matrix>,
    /// Rows that can't be compared.
    pub skipped: Skipped,
    /// Rows without an id that is text.
    pub without_id: u64,
}

/// What was computed of earlier rows.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// Their ids.
    pub ids: Vec<String>,
    /// Their fingerprints, made with the same seed.
    pub fingerprints: Vec<u64>,
    /// The list of each, complete and closest first, under how many it was to hold.
    pub lists: Vec<Vec<Neighbor>>,
}

/// Lists of the closest rows, as they differ from those of [`Before`].
#[derive(Debug, Clone, Default)]
pub struct Related {
    /// For each row, its list, closest first (ties by id); `None`: it is the one of before.
    pub lists: Vec<Option<Vec<Neighbor>>>,
    /// Rows that are new or have changed.
    pub changed: Vec<u32>,
    /// Rows of before that are gone.
    pub gone: Vec<u32>,
}

/// A number that nobody can guess, for fingerprints.
///
/// # Errors
/// `Io` when the system has none.
pub fn seed() -> Result<u64> {
    crate::snapshot::segment::SegmentId::random().map(|id| id.seed())
}

impl Walk {
    /// Copies the vectors of all rows into memory. O(rows · dim).
    ///
    /// # Errors
    /// `NotFound`; those of SQLite; `Cancelled`.
    pub fn vectors(&self, seed: u64, observer: &dyn Observer) -> Result<Vectors> {
        let standing = self.begin()?;
        let mut found = Vectors {
            ids: Vec::new(),
            fingerprints: Vec::new(),
            vectors: None,
            skipped: Skipped::default(),
            without_id: 0,
        };
        let Some(dim) = standing.outline().dimensions else {
            found.copy(&standing, None, seed, observer)?;
            return Ok(found);
        };
        let rows = usize::try_from(standing.outline().rows).unwrap_or(usize::MAX);
        let mut vectors = MatrixBuilder::new(dim, rows)?;
        found.copy(&standing, Some((&mut vectors, dim)), seed, observer)?;
        if vectors.rows() > 0 {
            found.vectors = Some(vectors.finish()?);
        }
        Ok(found)
    }
}

impl Vectors {
    fn copy(
        &mut self,
        standing: &Standing<'_>,
        mut into: Option<(&mut MatrixBuilder, usize)>,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let total = standing.outline().rows;
        let mut done = 0_u64;
        standing.embeddings(observer, |columns, embedding| {
            done += 1;
            if done.is_multiple_of(TOGETHER as u64) {
                observer.progress("reading", done, Some(total));
            }
            let Some(id) = text(columns, 0) else {
                self.without_id += 1;
                return Ok(());
            };
            match (blob::check(embedding, Metric::Cosine), &mut into) {
                (Err(defect), _) => defect.count(&mut self.skipped),
                (Ok(bytes), Some((vectors, dim))) if bytes.len() == *dim * 4 => {
                    vectors.add_row().copy_from_slice(&blob::decode(bytes));
                    self.fingerprints.push(fingerprint(bytes, seed));
                    self.ids.push(id);
                }
                (Ok(_), _) => self.skipped.other_size += 1,
            }
            Ok(())
        })
    }

    /// Finds the `k` rows with the highest cosine similarity to each row, itself left out; ties by id.
    /// `before` must hold lists of as many; what it holds is only used where it proves right. After c
    /// changes, O(c · rows · dim) beside reading.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn related(&self, before: &Before, k: usize, observer: &dyn Observer) -> Result<Related> {
        let compared = Compared::new(self, before, k);
        let Some(vectors) = &self.vectors else {
            return Ok(Related { gone: compared.gone, ..Related::default() });
        };
        let ranks = ranks(&self.ids);
        let all = All { vectors, ranks: &ranks, k };
        let mut lists: Vec<Option<Vec<Neighbor>>> = vec![None; vectors.rows()];
        let anew: Vec<u32> = match compared.anew.len() >= vectors.rows() / WORTH_KEEPING {
            true if !compared.anew.is_empty() => (0..vectors.rows() as u32).collect(),
            _ => compared.anew,
        };
        if !anew.is_empty() {
            for (row, list) in anew.iter().zip(all.search(&anew, observer)?) {
                lists[*row as usize] = Some(list);
            }
        }
        if anew.len() < vectors.rows() && !compared.changed.is_empty() {
            let kept: Vec<(u32, &[Neighbor])> = compared
                .kept
                .iter()
                .filter(|(row, _)| lists[*row as usize].is_none())
                .map(|(row, before_row)| (*row, before.lists[*before_row as usize].as_slice()))
                .collect();
            let entered = all.enter(&kept, &compared.changed, &compared.now, observer)?;
            for ((row, _), list) in kept.iter().zip(entered) {
                lists[*row as usize] = list;
            }
        }
        Ok(Related { lists, changed: compared.changed, gone: compared.gone })
    }
}

/// Which rows stayed and which lists still hold.
struct Compared {
    /// Rows that are new or have changed, ascending.
    changed: Vec<u32>,
    /// Rows whose list must be searched anew, ascending; all of `changed` among them.
    anew: Vec<u32>,
    /// Rows whose list stands but for rows that come into it: now and before.
    kept: Vec<(u32, u32)>,
    /// Rows of before that have another vector or none.
    gone: Vec<u32>,
    /// For each row of before, its number now, unless it has changed or is gone.
    now: Vec<Option<u32>>,
}

impl Compared {
    fn new(rows: &Vectors, before: &Before, k: usize) -> Self {
        let known = before.ids.iter().map(String::as_str).zip(0_u32..);
        let known: HashMap<&str, u32> = known.collect();
        let mut now = vec![None; before.ids.len()];
        let mut present = vec![false; before.ids.len()];
        let mut stayed = Vec::new();
        let mut changed = Vec::new();
        for ((id, fingerprint), row) in rows.ids.iter().zip(&rows.fingerprints).zip(0_u32..) {
            let was = known.get(id.as_str()).copied();
            if let Some(was) = was {
                present[was as usize] = true;
            }
            match was.filter(|was| before.fingerprints.get(*was as usize) == Some(fingerprint)) {
                Some(was) => {
                    now[was as usize] = Some(row);
                    stayed.push((row, was));
                }
                None => changed.push(row),
            }
        }
        // A list that isn't complete proves nothing.
        let complete = k.min(before.ids.len().saturating_sub(1));
        let holds = |was: u32| {
            before.lists.get(was as usize).is_some_and(|list| {
                let stayed =
                    |near: &Neighbor| now.get(near.row as usize).is_some_and(Option::is_some);
                list.len() == complete && list.iter().all(stayed)
            })
        };
        let (kept, lost): (Vec<_>, Vec<_>) = stayed.into_iter().partition(|(_, was)| holds(*was));
        let mut anew: Vec<u32> =
            changed.iter().copied().chain(lost.iter().map(|(row, _)| *row)).collect();
        anew.sort_unstable();
        let gone = present.iter().zip(0_u32..).filter(|(present, _)| !**present);
        let gone = gone.map(|(_, was)| was).collect();
        Self { changed, anew, kept, gone, now }
    }
}

/// The place of each id in their order.
fn ranks(ids: &[String]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.par_sort_unstable_by(|a, b| ids[*a as usize].cmp(&ids[*b as usize]));
    let mut ranks = vec![0; ids.len()];
    for (row, rank) in order.into_iter().zip(0_u32..) {
        ranks[row as usize] = rank;
    }
    ranks
}

/// All rows, to be searched.
struct All<'a> {
    vectors: &'a Matrix,
    ranks: &'a [u32],
    k: usize,
}

impl All<'_> {
    /// The closest of all rows to each of some.
    fn search(&self, rows: &[u32], observer: &dyn Observer) -> Result<Vec<Vec<Neighbor>>> {
        let index = match rows.len() < WORTH_CODES {
            true => flat::over(self.vectors, Metric::Cosine, observer)?,
            false => {
                let none = Parameters::new();
                let sections = Flat.build(self.vectors, Metric::Cosine, &none, observer)?;
                Flat.open(self.vectors.clone(), Metric::Cosine, &none, &sections)?
            }
        };
        let mut lists = Vec::with_capacity(rows.len());
        for batch in rows.chunks(TOGETHER) {
            observer.checkpoint()?;
            observer.progress("searching", lists.len() as u64, Some(rows.len() as u64));
            let queries = self.queries(batch.iter().copied())?;
            // One more, for the row itself.
            let found = index.candidates_batch(&queries, self.k + 1, None, observer)?;
            let nearest = |((query, &row), found): ((&Query, &u32), &Vec<u32>)| {
                let others = found.iter().copied().filter(|&other| other != row);
                let mut list: Vec<_> = others.map(|other| self.neighbor(query, other)).collect();
                self.rank(&mut list);
                list
            };
            lists.par_extend(queries.par_iter().zip(batch).zip(&found).map(nearest));
        }
        Ok(lists)
    }

    /// What becomes of lists that hold, when rows come into the collection; `None`: nothing.
    fn enter(
        &self,
        kept: &[(u32, &[Neighbor])],
        new: &[u32],
        now: &[Option<u32>],
        observer: &dyn Observer,
    ) -> Result<Vec<Option<Vec<Neighbor>>>> {
        let mut matrix = MatrixBuilder::new(self.vectors.dim(), new.len())?;
        for &row in new {
            matrix.add_row().copy_from_slice(self.vectors.row(row as usize));
        }
        let index: Box<dyn Index> = flat::over(&matrix.finish()?, Metric::Cosine, observer)?;
        let mut lists = Vec::with_capacity(kept.len());
        for batch in kept.chunks(TOGETHER) {
            observer.checkpoint()?;
            observer.progress("comparing", lists.len() as u64, Some(kept.len() as u64));
            let queries = self.queries(batch.iter().map(|(row, _)| *row))?;
            let found = index.candidates_batch(&queries, self.k, None, observer)?;
            let lists_of = queries.par_iter().zip(batch).zip(&found);
            lists.par_extend(lists_of.map(|((query, (_, list)), found)| {
                let stayed = |near: &Neighbor| {
                    let row = now.get(near.row as usize).copied().flatten()?;
                    Some(Neighbor { row, score: near.score })
                };
                let before: Vec<Neighbor> = list.iter().filter_map(stayed).collect();
                let entering = found.iter().filter_map(|&place| new.get(place as usize));
                let mut merged = before.clone();
                merged.extend(entering.map(|&row| self.neighbor(query, row)));
                self.rank(&mut merged);
                (merged != before).then_some(merged)
            }));
        }
        Ok(lists)
    }

    fn queries(&self, rows: impl Iterator<Item = u32>) -> Result<Vec<Query>> {
        rows.map(|row| Query::from_f32(self.vectors.row(row as usize), Metric::Cosine)).collect()
    }

    fn neighbor(&self, query: &Query, row: u32) -> Neighbor {
        Neighbor { row, score: exact_score(query, self.vectors.row(row as usize)) }
    }

    /// Leaves the `k` closest, closest first.
    fn rank(&self, list: &mut Vec<Neighbor>) {
        let rank = |near: &Neighbor| self.ranks.get(near.row as usize);
        list.sort_unstable_by(|a, b| {
            Metric::Cosine.closer_first(a.score, b.score).then_with(|| rank(a).cmp(&rank(b)))
        });
        list.truncate(self.k);
    }
}
