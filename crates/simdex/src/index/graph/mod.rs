//! `graph`: walks a flat graph of neighbours on 4-bit codes, then ranks what it found exactly.

mod basis;
mod build;
mod codes;
mod huge;
mod layout;
mod pool;
mod prune;
mod random;
mod rotation;
mod search;
mod space;
mod tune;
mod walk;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Kind, Parameter, Parameters, Sections};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::types::Metric;

use basis::Basis;
use build::{Plan, Points};
use codes::{Coder, Target};
use layout::{Header, Layout, VERSION};
use prune::Pruning;
use random::Random;
use search::GraphIndex;
use space::Space;
use tune::Curve;

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
        &[]
    }

    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        parameters: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections> {
        let get = |name: &str, default: f32| {
            parameters.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
        };
        let space = Space::of(vectors, metric);
        let own = space.points(vectors);
        let values = own.as_deref().unwrap_or(vectors.values());
        let dim = space.point_dim();
        let mut order: Vec<u32> = (0..vectors.rows() as u32).collect();
        Random::new(1).shuffle(&mut order);
        let kernels = Kernels::detect();
        let mean = mean(values, dim);
        let basis = Basis::learn(kernels, values, &mean);
        let coder = Coder::learn(kernels, mean, basis, values);
        let records = encode(&coder, values, dim, &order);
        let points =
            Points { kernels, values, dim, order: &order, coder: &coder, records: &records };
        let plan = Plan {
            pruning: Pruning { degree: get("degree", 32.0) as usize, alpha: get("alpha", 1.2) },
            width: get("effort", 100.0) as usize,
            slack: get("slack", 1.3),
        };
        let links = build::link(&points, &plan, observer)?;
        let starts: Vec<u32> = (0..=order.len() as u32).collect();
        let entries: Vec<u32> = (0..(get("entries", 1.0) as u32).min(order.len() as u32)).collect();
        let header = Header {
            version: VERSION,
            nodes: order.len(),
            degree: links.degree,
            radius: space.radius(),
            gains: coder.gains().to_vec(),
            curve: Curve::default(),
        };
        Layout {
            header,
            mean: Slab::from_slice(coder.mean()),
            basis: coder.basis().write(),
            records: Slab::from_slice(&records),
            edges: Slab::from_slice(&links.edges),
            entries: Slab::from_slice(&entries),
            starts: Slab::from_slice(&starts),
            rows: Slab::from_slice(&order),
        }
        .write()
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

/// The records of all nodes.
fn encode(coder: &Coder, values: &[f32], dim: usize, order: &[u32]) -> Vec<u8> {
    use rayon::prelude::*;
    let bytes = coder.record_bytes();
    let mut records = vec![0; order.len() * bytes];
    records.par_chunks_exact_mut(bytes).zip(order).for_each_init(
        Target::default,
        |rotated, (record, &at)| {
            coder.encode(&values[at as usize * dim..][..dim], rotated, record);
        },
    );
    records
}

#[allow(dead_code)]
fn unused() -> Error {
    Error::new(ErrorKind::Internal, "")
}
