//! `flat`: compares the query with every row.

use fixedbitset::FixedBitSet;

use crate::error::Result;
use crate::index::{Index, Kind, Parameter, Parameters, Sections};
use crate::matrix::Matrix;
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

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
        &[]
    }

    fn build(&self, _: &Matrix, _: Metric, _: &Parameters, _: &dyn Observer) -> Result<Sections> {
        Ok(Sections::new())
    }

    fn open(
        &self,
        vectors: Matrix,
        _: Metric,
        _: &Parameters,
        _: &Sections,
    ) -> Result<Box<dyn Index>> {
        Ok(Box::new(FlatIndex { vectors }))
    }
}

struct FlatIndex {
    vectors: Matrix,
}

impl Index for FlatIndex {
    fn candidates(
        &self,
        _query: &Query,
        _k: usize,
        allowed: Option<&FixedBitSet>,
        _observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        let rows = 0..self.vectors.rows() as u32;
        Ok(rows.filter(|&row| allowed.is_none_or(|set| set.contains(row as usize))).collect())
    }
}
