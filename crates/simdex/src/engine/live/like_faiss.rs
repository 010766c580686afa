//! Distances with faiss's digits, and rows in faiss's order: by distance, ties as in the table.
//!
//! The index bounds exact distances, and a float32 sum differs from the exact one by at most a known
//! factor (see [`crate::kernels`]). So rows are fetched until the next one is farther than the k-th
//! can be by any rounding; among those fetched the float32 distances decide.

use crate::engine::search::{View, without_plugin};
use crate::error::{ErrorKind, Result};
use crate::kernels::Kernels;
use crate::observe::Observer;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::snapshot::{Snapshot, key};
use crate::store::Id;
use crate::types::Metric;

/// Rows fetched beyond `k` at first.
const MARGIN: usize = 16;

/// The `k` closest rows of a view. What kept a plugin from helping is added to `notices`.
pub(super) fn search(
    view: &View,
    metric: Metric,
    query: &Query,
    k: usize,
    notices: &mut Vec<String>,
    observer: &dyn Observer,
) -> Result<Vec<(Id, f64)>> {
    let kernels = Kernels::detect();
    let (base, delta) = (&view.generation.base, &view.delta);
    let mut found = Vec::new();
    if let Some(vectors) = base.vectors() {
        for row in base_rows(view, metric, query, k, notices, observer)? {
            let distance = query.distance_of_faiss(kernels, vectors.row(row));
            found.push((distance, Place::of_base(row), base.keys().get(row)));
        }
    }
    let by_distance = |a: &(f64, Place, &[u8]), b: &(f64, Place, &[u8])| {
        a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1))
    };
    found.sort_unstable_by(by_distance);
    found.truncate(k);
    if let Some((tail, vectors)) =
        delta.tail.as_ref().and_then(|tail| Some((tail, tail.vectors()?)))
    {
        observer.checkpoint()?;
        let farthest = found.get(k.wrapping_sub(1)).map(|last| last.0);
        for row in 0..tail.rows() {
            let distance = query.distance_of_faiss(kernels, vectors.row(row));
            if farthest.is_none_or(|farthest| distance <= farthest) {
                let key = tail.keys().get(row);
                found.push((distance, Place::of_tail(row, key, base, view), key));
            }
        }
        found.sort_unstable_by(by_distance);
        found.truncate(k);
    }
    found.into_iter().map(|(distance, _, key)| Ok((key::decode(key)?.1, distance))).collect()
}

/// Rows of the base among which the `k` closest by float32 distance are.
fn base_rows(
    view: &View,
    metric: Metric,
    query: &Query,
    k: usize,
    notices: &mut Vec<String>,
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let (base, gone) = (&view.generation.base, &view.delta.tombstones);
    let everything = || (0..base.rows()).filter(|&row| !gone.contains(row)).collect();
    let (Some(index), Some(vectors)) = (&view.generation.index, base.vectors()) else {
        return Ok(Vec::new());
    };
    if metric != Metric::L2 {
        return Ok(everything());
    }
    let allowed = (!gone.is_clear()).then(|| {
        let mut allowed = gone.clone();
        allowed.toggle_range(..);
        allowed
    });
    let mut wanted = k.saturating_add(MARGIN);
    while k > 0 && wanted < base.rows() {
        let rows = match index.candidates(query, wanted, allowed.as_ref(), observer) {
            Err(error) if error.kind() == ErrorKind::Plugin => {
                notices.push(without_plugin(&error));
                return Ok(everything());
            }
            rows => rows?,
        };
        if rows.len() < wanted {
            // An approximate kind found no more, or there are no more.
            return Ok(rows.into_iter().map(|row| row as usize).collect());
        }
        let score = |&row: &u32| exact_score(query, vectors.row(row as usize));
        let mut exact: Vec<f64> = rows.iter().map(score).collect();
        exact.sort_unstable_by(f64::total_cmp);
        if let (Some(&kth), Some(&last)) = (exact.get(k - 1), exact.get(wanted - 1))
            && least(last, query.dim()) > most(kth, query.dim())
        {
            return Ok(rows.into_iter().map(|row| row as usize).collect());
        }
        wanted = wanted.saturating_mul(4);
    }
    Ok(if k == 0 { Vec::new() } else { everything() })
}

/// Relative error of a float32 sum of `dim` squared differences, with room to spare.
fn relative(dim: usize) -> f64 {
    (dim + 8) as f64 * f64::from(f32::EPSILON)
}

/// The least that float32 may make of a distance.
fn least(exact: f64, dim: usize) -> f64 {
    exact * (1.0 - relative(dim)) - underflow(dim)
}

/// The most that float32 may make of a distance.
fn most(exact: f64, dim: usize) -> f64 {
    exact * (1.0 + relative(dim)) + underflow(dim)
}

/// What gradual underflow may add up to.
fn underflow(dim: usize) -> f64 {
    (dim + 1) as f64 * f64::from(f32::from_bits(1))
}

/// Where a row stands in the table, as far as that is known: row `r` of the base has an odd number,
/// and a row that is new stands between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(usize, usize);

impl Place {
    fn of_base(row: usize) -> Self {
        Self(2 * row + 1, 0)
    }

    /// A changed row stays where it was; a new one goes where its id says, if the table is in the
    /// order of its ids, else to the end.
    fn of_tail(row: usize, key: &[u8], base: &Snapshot, view: &View) -> Self {
        let replaced = |&row: &u32| view.delta.tombstones.contains(row as usize);
        if let Some(before) = base.keys().find(key).find(replaced) {
            return Self(2 * before as usize + 1, row + 1);
        }
        let (_, _, order) = base.keys().parts();
        let sorted = order.iter().zip(0_u32..).all(|(&row, place)| row == place);
        let after = match sorted {
            true => order.partition_point(|&row| base.keys().get(row as usize) < key),
            false => base.rows(),
        };
        Self(2 * after, row)
    }
}
