//! The true nearest rows: given, or found by an exact kind.

use rayon::prelude::*;

use super::Contest;
use super::recall::Bars;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{KINDS, Parameters};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::search::rerank::nearest;
use crate::types::Metric;

/// Queries in one call of the exact kind: enough to gain from a batch, few enough for progress to
/// move and a stop to be heard.
const TOGETHER: usize = 256;

/// The bars that answers to `queries` are held against.
///
/// # Errors
/// `Invalid` when the given truth doesn't fit; `Cancelled`.
pub(super) fn bars(
    contest: &Contest,
    metric: Metric,
    queries: &[Query],
    observer: &dyn Observer,
) -> Result<Bars> {
    let wanted = contest.k.min(contest.base.rows());
    match &contest.truth {
        Some(truth) => given(contest, truth, wanted, queries),
        None => found(contest, metric, wanted, queries, observer),
    }
}

fn given(contest: &Contest, truth: &[Vec<u32>], wanted: usize, queries: &[Query]) -> Result<Bars> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
    if truth.len() != queries.len() {
        let (truth, queries) = (truth.len(), queries.len());
        return Err(invalid(format!("the truth is of {truth} queries, and there are {queries}")));
    }
    let rows = contest.base.rows();
    Bars::new(queries, &contest.base, wanted, |query| {
        let Some(nearest) = truth.get(query).and_then(|nearest| nearest.get(..wanted)) else {
            let has = truth.get(query).map_or(0, Vec::len);
            return Err(invalid(format!(
                "the truth has {has} rows for query {query}, and {wanted} are needed"
            )));
        };
        if let Some(row) = nearest.iter().find(|&&row| row as usize >= rows) {
            return Err(invalid(format!(
                "the truth names row {row} for query {query}, and there are {rows} rows"
            )));
        }
        Ok(nearest.to_vec())
    })
}

fn found(
    contest: &Contest,
    metric: Metric,
    wanted: usize,
    queries: &[Query],
    observer: &dyn Observer,
) -> Result<Bars> {
    let Some(exact) = KINDS.iter().find(|kind| kind.is_exact()) else {
        return Err(Error::new(ErrorKind::Internal, "no kind of index is exact"));
    };
    let (base, none) = (&contest.base, Parameters::new());
    let sections = exact.build(base, metric, &none, observer)?;
    let index = exact.open(base.clone(), metric, &none, &sections)?;
    let mut answers: Vec<Vec<u32>> = Vec::with_capacity(queries.len());
    for batch in queries.chunks(TOGETHER) {
        observer.progress(
            "finding the true answers",
            answers.len() as u64,
            Some(queries.len() as u64),
        );
        let candidates = index.candidates_batch(batch, wanted, None, observer)?;
        let closest = |(query, rows): (&Query, &Vec<u32>)| -> Vec<u32> {
            nearest(query, base, rows, wanted).iter().map(|neighbor| neighbor.row).collect()
        };
        answers.par_extend(batch.par_iter().zip(&candidates).map(closest));
    }
    Bars::new(queries, base, wanted, |query| Ok(answers.get(query).cloned().unwrap_or_default()))
}
