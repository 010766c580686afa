//! `auto`: builds `flat` or `graph`, whichever a probe of the very rows finds better.
//!
//! The sections are those of the kind that was picked, and one that says which and why.

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::index::flat::Flat;
use crate::index::graph::{self, Graph};
use crate::index::{Index, Job, Kind, Parameter, Parameters, Previous, Sections};
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::{Metric, Neighbor};

mod pick;
mod probe;
#[cfg(test)]
mod tests;

use pick::Reason;
use probe::{Policy, Stopwatch};

/// The section that says what was picked.
const AUTO: &str = "auto";

/// The kind that picks a kind.
#[derive(Debug, Clone, Copy)]
pub struct Auto;

/// What was picked, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    kind: Picked,
    reason: Reason,
}

/// The kinds that can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Picked {
    Flat,
    Graph,
}

impl Picked {
    fn kind(self) -> &'static dyn Kind {
        match self {
            Self::Flat => &Flat,
            Self::Graph => &Graph,
        }
    }
}

impl Kind for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn about(&self) -> &'static str {
        "picks at each build: flat while a scan is short, else graph where it proves faster"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[graph::RECALL]
    }

    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        parameters: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections> {
        let (choice, sections) =
            probe::build(vectors, metric, parameters, &Policy::new(&Stopwatch), observer)?;
        with_choice(choice, sections)
    }

    fn updates(&self) -> bool {
        true
    }

    /// A graph takes the changes in, and stays if it is still the better pick.
    fn update_in(
        &self,
        job: &Job<'_>,
        previous: &Previous<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Sections>> {
        if !matches!(choice(previous.sections), Ok(Choice { kind: Picked::Graph, .. })) {
            return Ok(None);
        }
        let Some(sections) = Graph.update_in(job, previous, observer)? else { return Ok(None) };
        let choice = probe::confirm(job, &sections, &Policy::new(&Stopwatch), observer)?;
        choice.map(|choice| with_choice(choice, sections)).transpose()
    }

    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>> {
        let choice = choice(sections)?;
        let kind = choice.kind.kind();
        // Of auto's parameters none is flat's.
        let parameters = match choice.kind {
            Picked::Flat => Parameters::new(),
            Picked::Graph => parameters.clone(),
        };
        let index = kind.open(vectors, metric, &parameters, sections)?;
        Ok(Box::new(AutoIndex { index, choice }))
    }
}

fn with_choice(choice: Choice, mut sections: Sections) -> Result<Sections> {
    let json = serde_json::to_vec(&choice)
        .map_err(|error| Error::new(ErrorKind::Internal, "what auto picked").source(error))?;
    sections.insert(AUTO.into(), Slab::from_slice(&json));
    Ok(sections)
}

fn choice(sections: &Sections) -> Result<Choice> {
    let damaged = |message: &str| Error::new(ErrorKind::Damaged, message).with("section", AUTO);
    let json = sections.get(AUTO).ok_or_else(|| damaged("what auto picked is missing"))?;
    serde_json::from_slice(json)
        .map_err(|error| damaged("what auto picked can't be read").source(error))
}

/// The index of the kind that was picked.
struct AutoIndex {
    index: Box<dyn Index>,
    choice: Choice,
}

impl Index for AutoIndex {
    fn candidates(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        self.index.candidates(query, k, allowed, observer)
    }

    fn candidates_batch(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        self.index.candidates_batch(queries, k, allowed, observer)
    }

    fn nearest_batch(
        &self,
        queries: &[Query],
        vectors: &Matrix,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<Neighbor>>> {
        self.index.nearest_batch(queries, vectors, k, allowed, observer)
    }

    fn is_exact(&self) -> bool {
        self.index.is_exact()
    }

    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![("picked".to_owned(), self.picked().unwrap_or_default())];
        facts.extend(self.index.facts());
        facts
    }

    fn picked(&self) -> Option<String> {
        let Choice { kind, reason } = self.choice;
        Some(format!("{}: {reason}", kind.kind().name()))
    }
}
