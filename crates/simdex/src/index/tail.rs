//! The structure over rows that are newer than the build: always exact.

use crate::error::Result;
use crate::index::flat::{self, Flat};
use crate::index::{Index, Kind, Parameters, Sections};
use crate::observe::Silent;
use crate::snapshot::diff::Delta;
use crate::types::Metric;

/// What is kept of a delta that is written.
///
/// # Errors
/// Those of [`Flat`].
pub(crate) fn build(delta: &Delta, metric: Metric) -> Result<Sections> {
    match delta.tail.as_ref().and_then(|tail| tail.vectors()) {
        Some(vectors) => Flat.build(vectors, metric, &Parameters::new(), &Silent),
        None => Ok(Sections::new()),
    }
}

/// Opens it.
///
/// # Errors
/// `Damaged` when the sections don't fit the rows.
pub(crate) fn open(
    delta: &Delta,
    metric: Metric,
    sections: &Sections,
) -> Result<Option<Box<dyn Index>>> {
    let Some(vectors) = delta.tail.as_ref().and_then(|tail| tail.vectors()) else {
        return Ok(None);
    };
    Flat.open(vectors.clone(), metric, &Parameters::new(), sections).map(Some)
}

/// That of a delta that is searched once: codes would cost more than they spare. O(rows · dim).
///
/// # Errors
/// Those of [`Flat`].
pub(crate) fn of_new(delta: &Delta, metric: Metric) -> Result<Option<Box<dyn Index>>> {
    let Some(vectors) = delta.tail.as_ref().and_then(|tail| tail.vectors()) else {
        return Ok(None);
    };
    flat::over(vectors, metric, &Silent).map(Some)
}
