//! `graph`: walks a flat graph of neighbours on 4-bit codes, then ranks what it found exactly.

mod basis;
mod build;
mod codes;
mod connect;
mod layout;
mod pool;
mod prune;
mod random;
mod rank;
mod reorder;
mod rotation;
mod search;
mod settings;
mod space;
mod tune;
mod unique;
mod update;
mod walk;

use crate::error::{Error, ErrorKind, Result};
use crate::huge::filled;
use crate::index::{Index, Job, Kind, Parameter, Parameters, Previous, Sections};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::types::Metric;

use basis::Basis;
use build::{Links, Plan, Points};
use codes::{Coder, Records};
use layout::{Header, Layout, VERSION};
use pool::NODE_LIMIT;
use prune::Pruning;
use search::GraphIndex;
use settings::{PARAMETERS, number};
use space::Space;
use tune::{Curve, HELD_OUT, LEAST};
use unique::Groups;

/// How much longer than the degree lists may grow while building.
const SLACK: f32 = 1.6;

/// The approximate kind.
#[derive(Debug, Clone, Copy)]
pub struct Graph;

impl Kind for Graph {
    fn name(&self) -> &'static str {
        "graph"
    }

    fn about(&self) -> &'static str {
        "approximate: walks a graph of neighbours; far fewer comparisons than rows"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn sweep(&self) -> Vec<Parameters> {
        let targets = ["0.8", "0.9", "0.95", "0.97", "0.98", "0.99", "0.995"];
        let set = |target: &str| [(RECALL.name.to_owned(), target.to_owned())].into();
        targets.into_iter().map(set).collect()
    }

    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        parameters: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections> {
        let plan = plan(parameters)?;
        if vectors.rows() >= NODE_LIMIT {
            return Err(Error::new(ErrorKind::Invalid, "too many rows for a graph"));
        }
        let kernels = Kernels::detect();
        let space = Space::of(vectors, metric);
        let own = space.points(vectors);
        let (values, dim) = (own.as_deref().unwrap_or(vectors.values()), space.point_dim());
        let groups = Groups::of(values, dim);
        let order = groups.representatives();
        let mean = mean(values, dim);
        let basis = Basis::learn(kernels, values, &mean);
        let coder = Coder::learn(kernels, mean, basis, values);
        observer.checkpoint()?;
        let records = encode(&coder, values, dim, &order);
        let points =
            Points { kernels, space, values, dim, order: &order, coder: &coder, records: &records };
        let links = Links::new(order.len(), &plan);
        let linked = link(&points, &plan, (links, 0), observer)?;
        let history = (order.len(), 0);
        layout(linked, groups, records, (&coder, space.radius()), history).write()
    }

    fn updates(&self) -> bool {
        true
    }

    fn update_in(
        &self,
        job: &Job<'_>,
        previous: &Previous<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Sections>> {
        update::update(job, previous, observer)
    }

    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>> {
        Ok(Box::new(GraphIndex::open(vectors, metric, parameters, sections)?))
    }
}

/// How `parameters` say to build.
fn plan(parameters: &Parameters) -> Result<Plan> {
    let pruning = Pruning {
        degree: number(parameters, "degree")? as usize,
        alpha: number(parameters, "alpha")? as f32,
    };
    Ok(Plan { pruning, width: number(parameters, "effort")? as usize, slack: SLACK })
}

/// The parameter that says how many of the true nearest rows to find.
pub(super) use settings::RECALL;

/// The share of the true nearest rows that `parameters` ask for.
///
/// # Errors
/// `Invalid` when it can't be used.
pub(super) fn target_recall(parameters: &Parameters) -> Result<f64> {
    number(parameters, RECALL.name)
}

/// More distances than searches of rows with structure take.
pub(super) const MOST_DISTANCES: f64 = 25_000.0;

/// A graph for which a margin is known that reaches its target.
pub(super) struct Tuned {
    pub(super) index: Box<dyn Index>,
    /// Distances that a search estimates.
    pub(super) distances: f64,
}

/// Opens what [`Graph`] built; `None` where no margin reaches the target for `k` rows.
///
/// # Errors
/// As [`Kind::open`].
pub(super) fn open_tuned(
    vectors: Matrix,
    metric: Metric,
    parameters: &Parameters,
    sections: &Sections,
    k: usize,
) -> Result<Option<Tuned>> {
    let index = GraphIndex::open(vectors, metric, parameters, sections)?;
    Ok(index.distances(k).map(|distances| Tuned { index: Box::new(index), distances }))
}

/// The mean of the points. O(n · dim), in float64.
fn mean(values: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; dim];
    for point in values.chunks_exact(dim) {
        for (sum, &value) in sums.iter_mut().zip(point) {
            *sum += f64::from(value);
        }
    }
    let count = (values.len() / dim).max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// The codes of all nodes.
fn encode(coder: &Coder, values: &[f32], dim: usize, order: &[u32]) -> Records {
    use rayon::prelude::*;
    let (head, tail) = (coder.shape().head_bytes(), coder.shape().tail_bytes());
    let mut records =
        Records { heads: filled(0, order.len() * head), tails: filled(0, order.len() * tail) };
    let mut places: Vec<(&[u32], &mut [u8], &mut [u8])> = Vec::new();
    let (mut heads, mut tails) = (&mut records.heads[..], &mut records.tails[..]);
    for nodes in order.chunks(ENCODED_TOGETHER) {
        let (first, second);
        (first, heads) = heads.split_at_mut(nodes.len() * head);
        (second, tails) = tails.split_at_mut(nodes.len() * tail);
        places.push((nodes, first, second));
    }
    places.into_par_iter().for_each(|(nodes, heads, tails)| {
        let point = |&at: &u32| &values[at as usize * dim..][..dim];
        let points: Vec<f32> = nodes.iter().flat_map(point).copied().collect();
        coder.encode(&points, heads, tails);
    });
    records
}

/// How many points share a pass over the basis.
const ENCODED_TOGETHER: usize = 16;

/// A graph whose nodes are all linked.
struct Linked {
    links: Links,
    entries: Vec<u32>,
    curve: Curve,
}

/// How many nodes join only when it has been measured how well they are found.
fn held_out(nodes: usize) -> usize {
    if nodes >= LEAST { HELD_OUT } else { 0 }
}

/// Links all points but some, measures how well those are found, and links them too. Nodes before
/// `done` are linked.
fn link(
    points: &Points,
    plan: &Plan,
    (mut links, done): (Links, usize),
    observer: &dyn Observer,
) -> Result<Linked> {
    let nodes = points.nodes();
    let held_out = held_out(nodes);
    let joined = nodes - held_out;
    let entries: Vec<u32> = (0..nodes.min(1) as u32).collect();
    build::link(points, plan, &mut links, done..joined, observer)?;
    let mut curve = Curve::default();
    if held_out > 0 {
        curve = Curve::measure(points, &links, joined as u32, &entries);
        observer.checkpoint()?;
    }
    build::link(points, plan, &mut links, joined..nodes, observer)?;
    build::finish(points, plan, &mut links);
    let entries = connect::connect(points, &mut links, entries);
    Ok(Linked { links, entries, curve })
}

/// Puts the nodes in the order in which they are walked.
fn layout(
    linked: Linked,
    mut groups: Groups,
    mut records: Records,
    (coder, radius): (&Coder, f64),
    (linked_anew, changed): (usize, usize),
) -> Layout {
    let Linked { mut links, mut entries, curve } = linked;
    reorder::reorder(&mut links, &mut entries, &mut groups, &mut records, coder.shape());
    let header = Header {
        version: VERSION,
        nodes: groups.nodes(),
        degree: links.degree,
        radius,
        head: coder.shape().head,
        reach: build::REACH,
        gains: coder.gains().to_vec(),
        curve,
        linked: Some(linked_anew),
        changed,
    };
    Layout {
        header,
        mean: Slab::from_slice(coder.mean()),
        basis: coder.basis().write(),
        heads: Slab::from_slice(&records.heads),
        tails: Slab::from_slice(&records.tails),
        edges: Slab::from_slice(&links.edges),
        entries: Slab::from_slice(&entries),
        starts: Slab::from_slice(&groups.starts),
        rows: Slab::from_slice(&groups.rows),
    }
}

#[cfg(test)]
mod tests;
