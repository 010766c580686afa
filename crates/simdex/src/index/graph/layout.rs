//! The sections of a graph, and what may be believed about them.
//!
//! | section | element | shape |
//! |---|---|---|
//! | `graph.header` | JSON | [`Header`] |
//! | `graph.mean` | float32 | point dim |
//! | `graph.basis` | float32 | point dim × kept, or empty: see `Basis` |
//! | `graph.heads` | bytes | nodes × head: the first blocks of the code, with its factors |
//! | `graph.tails` | bytes | nodes × tail: the other blocks of the code |
//! | `graph.edges` | uint32 | nodes × degree; neighbours, then `NO_NODE` |
//! | `graph.entries` | uint32 | nodes where walks begin |
//! | `graph.starts` | uint32 | nodes + 1: where each node's rows start in `graph.rows` |
//! | `graph.rows` | uint32 | rows: the rows of each node (equal vectors share one) |
//!
//! Opening checks lengths only; numbers used as positions are checked where they are used.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::index::Sections;
use crate::kernels::Kernels;
use crate::matrix::Slab;

use super::basis::Basis;
use super::codes::{Coder, RecordsView, Shape};
use super::pool::NODE_LIMIT;
use super::tune::Curve;
use super::walk::Field;

/// What the arrays don't say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) nodes: usize,
    pub(super) degree: usize,
    /// No row is longer; 0 unless the metric is dot.
    pub(super) radius: f64,
    /// How many blocks of a code are its head.
    pub(super) head: usize,
    /// See [`super::codes::Target::reach`].
    pub(super) reach: f32,
    /// The gain of each block of a code.
    pub(super) gains: Vec<f32>,
    pub(super) curve: Curve,
    /// How many nodes there were when all were linked anew; `None`: these.
    #[serde(default)]
    pub(super) linked: Option<usize>,
    /// How many came and went since.
    #[serde(default)]
    pub(super) changed: usize,
}

/// The version that this code writes and reads.
pub(super) const VERSION: u32 = 3;

/// The arrays of an opened graph.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) header: Header,
    pub(super) mean: Slab<f32>,
    pub(super) basis: Slab<f32>,
    pub(super) heads: Slab<u8>,
    pub(super) tails: Slab<u8>,
    pub(super) edges: Slab<u32>,
    pub(super) entries: Slab<u32>,
    pub(super) starts: Slab<u32>,
    pub(super) rows: Slab<u32>,
}

fn damaged(message: String) -> Error {
    Error::new(ErrorKind::Damaged, message)
}

impl Layout {
    pub(super) fn write(&self) -> Result<Sections> {
        let header = serde_json::to_vec(&self.header)
            .map_err(|error| Error::new(ErrorKind::Internal, "graph header").source(error))?;
        let sections = [
            ("graph.header", Slab::from_slice(&header)),
            ("graph.mean", self.mean.cast()?),
            ("graph.basis", self.basis.cast()?),
            ("graph.heads", self.heads.clone()),
            ("graph.tails", self.tails.clone()),
            ("graph.edges", self.edges.cast()?),
            ("graph.entries", self.entries.cast()?),
            ("graph.starts", self.starts.cast()?),
            ("graph.rows", self.rows.cast()?),
        ];
        Ok(sections.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect())
    }

    /// O(1) but for the header.
    pub(super) fn read(sections: &Sections, rows: usize, point_dim: usize) -> Result<Self> {
        let section = |name: &'static str| {
            sections.get(name).ok_or_else(|| {
                damaged("a section of the graph is missing".into()).with("section", name)
            })
        };
        let header: Header = serde_json::from_slice(section("graph.header")?)
            .map_err(|error| damaged("the graph's header can't be read".into()).source(error))?;
        if header.version != VERSION {
            return Err(damaged(format!(
                "the graph has version {}, expected {VERSION}",
                header.version
            )));
        }
        let layout = Self {
            mean: section("graph.mean")?.cast()?,
            basis: section("graph.basis")?.cast()?,
            heads: section("graph.heads")?.clone(),
            tails: section("graph.tails")?.clone(),
            edges: section("graph.edges")?.cast()?,
            entries: section("graph.entries")?.cast()?,
            starts: section("graph.starts")?.cast()?,
            rows: section("graph.rows")?.cast()?,
            header,
        };
        layout.check(rows, point_dim)?;
        Ok(layout)
    }

    fn check(&self, rows: usize, point_dim: usize) -> Result<()> {
        let Header { nodes, degree, .. } = self.header;
        if nodes > rows.min(NODE_LIMIT) {
            return Err(damaged(format!("the graph has {nodes} nodes for {rows} rows")));
        }
        let shape = self.shape();
        let lengths = [
            ("graph.mean", self.mean.len(), Some(point_dim)),
            ("graph.heads", self.heads.len(), nodes.checked_mul(shape.head_bytes())),
            ("graph.tails", self.tails.len(), nodes.checked_mul(shape.tail_bytes())),
            ("graph.edges", self.edges.len(), nodes.checked_mul(degree)),
            ("graph.starts", self.starts.len(), nodes.checked_add(1)),
            ("graph.rows", self.rows.len(), Some(rows)),
        ];
        for (name, got, expected) in lengths {
            if Some(got) != expected {
                let expected = expected.map_or("fewer".into(), |length| length.to_string());
                let message =
                    format!("{got} values in a section of the graph, expected {expected}");
                return Err(damaged(message).with("section", name));
            }
        }
        Ok(())
    }

    fn shape(&self) -> Shape {
        let dim = self.mean.len();
        let kept = if self.basis.is_empty() { dim } else { self.basis.len() / dim.max(1) };
        Shape::new(kept, self.header.head)
    }

    pub(super) fn coder(&self, kernels: Kernels) -> Coder {
        let basis = Basis::read(self.basis.clone(), self.mean.len());
        let Header { head, gains, .. } = &self.header;
        Coder::new(kernels, self.mean.to_vec(), basis, *head, gains.clone())
    }

    pub(super) fn records(&self) -> RecordsView<'_> {
        RecordsView::new(&self.heads, &self.tails, self.shape())
    }

    pub(super) fn field(&self, kernels: Kernels) -> Field<'_> {
        Field {
            kernels,
            nodes: self.header.nodes as u32,
            records: self.records(),
            reach: self.header.reach,
            edges: &self.edges,
            degree: self.header.degree,
        }
    }

    /// The nodes with a row that `wanted` says yes to, each once. O(rows).
    pub(super) fn nodes_with(&self, wanted: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let (mut node, mut last) = (0, None);
        let rows = self.rows.iter().enumerate().filter(move |&(_, &row)| wanted(row));
        rows.filter_map(move |(at, _)| {
            while self.starts.get(node + 1).is_some_and(|&end| end as usize <= at) {
                node += 1;
            }
            let node = node as u32;
            (last.replace(node) != Some(node)).then_some(node)
        })
    }

    /// The rows of a node; empty where the file lies.
    pub(super) fn rows_of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        let (Some(&start), Some(&end)) = (self.starts.get(node), self.starts.get(node + 1)) else {
            return &[];
        };
        self.rows.get(start as usize..end as usize).unwrap_or(&[])
    }
}
