//! `flat`: compares the query with every row, exactly.
//!
//! Each row's exact score is bounded, first from four-bit codes, then from float32 arithmetic;
//! every row whose best case reaches the k-th best worst case is a candidate. So the exact
//! re-ranking sees all rows of a naive float64 scan's answer, ties included. Where a probe at
//! build finds that codes don't rule out enough rows, the scan is plain float32.

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Kind, Parameter, Parameters, Sections};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::quant;
use crate::search::query::Query;
use crate::types::Metric;

mod best;
mod bounds;
mod coded;
mod opened;
mod plain;
#[cfg(test)]
mod tests;

pub(crate) use opened::FlatIndex;

/// The section with one float32 a row, see [`bounds::norm_factor`].
const NORMS: &str = "norms";

/// The parameter that says whether to make codes.
const CODES: &str = "codes";

/// Below this many values a float32 scan takes microseconds, and codes don't pay.
const WORTH_CODES: usize = 1 << 18;

/// Queries of the probe, taken from the rows, and how many neighbours they ask for.
const PROBES: usize = 16;
const PROBE_K: usize = 10;

/// The exact kind.
#[derive(Debug, Clone, Copy)]
pub struct Flat;

impl Kind for Flat {
    fn name(&self) -> &'static str {
        "flat"
    }

    fn about(&self) -> &'static str {
        "exact: compares the query with every row"
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[Parameter {
            name: CODES,
            default: "auto",
            about: "4-bit codes that speed the scan up: auto, always or never",
            check: |value| match value {
                "auto" | "always" | "never" => Ok(()),
                _ => Err("use auto, always or never".into()),
            },
        }]
    }

    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        parameters: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections> {
        observer.checkpoint()?;
        let plain = norms(vectors, metric);
        let coded = || -> Result<Sections> {
            let mut sections = quant::encode(vectors, metric, observer)?;
            sections.extend(plain.clone());
            Ok(sections)
        };
        match parameters.get(CODES).map_or("auto", String::as_str) {
            "never" => Ok(plain),
            "always" => coded(),
            "auto" if vectors.values().len() < WORTH_CODES => Ok(plain),
            "auto" => {
                let coded = coded()?;
                let pays = codes_pay(vectors, metric, &coded, observer)?;
                Ok(if pays { coded } else { plain })
            }
            other => {
                let message = format!("`{other}` for `{CODES}`");
                Err(Error::new(ErrorKind::Invalid, message).hint("use auto, always or never"))
            }
        }
    }

    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        _: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>> {
        Ok(Box::new(FlatIndex::open(Kernels::detect(), vectors, metric, sections)?))
    }
}

/// An exact index over vectors for which none was built. O(rows · dim).
///
/// # Errors
/// `Cancelled`.
pub(crate) fn over(
    vectors: &Matrix,
    metric: Metric,
    observer: &dyn Observer,
) -> Result<Box<dyn Index>> {
    observer.checkpoint()?;
    let sections = norms(vectors, metric);
    Flat.open(vectors.clone(), metric, &Parameters::new(), &sections)
}

/// The norms that bounds need; none for L2.
fn norms(vectors: &Matrix, metric: Metric) -> Sections {
    let mut sections = Sections::new();
    if metric != Metric::L2 {
        let rows = vectors.values().par_chunks(vectors.dim());
        let norms: Vec<f32> = rows.map(|row| bounds::norm_factor(metric, row)).collect();
        sections.insert(NORMS.into(), Slab::from_slice(bytemuck::cast_slice(&norms)));
    }
    sections
}

/// Whether codes spare enough: searches for some of the rows must leave at least seven rows in
/// eight unread. A code has an eighth of a row's bytes, and a row out of order costs about double.
fn codes_pay(
    vectors: &Matrix,
    metric: Metric,
    sections: &Sections,
    observer: &dyn Observer,
) -> Result<bool> {
    let index = FlatIndex::open(Kernels::detect(), vectors.clone(), metric, sections)?;
    let (mut scored, mut probes) = (0, 0);
    for row in (0..vectors.rows()).step_by(vectors.rows().div_ceil(PROBES).max(1)) {
        let Ok(query) = Query::from_f32(vectors.row(row), metric) else { continue };
        scored += index.rows_scored(&query, PROBE_K, observer)?;
        probes += 1;
    }
    Ok(scored <= probes * vectors.rows() / 8)
}
