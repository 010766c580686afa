//! What is picked, with costs that are given instead of measured.

use super::probe::{Meter, Policy, build, confirm};
use super::*;
use crate::observe::Silent;
use crate::search::query::Query;

/// A row of a scan costs 1, a distance of a walk this much.
struct Costs {
    distance: f64,
    rows: usize,
}

impl Meter for Costs {
    fn scan(&self, _: &dyn Index, _: &[Query], _: &dyn Observer) -> Result<f64> {
        Ok(self.rows as f64)
    }

    fn walk(
        &self,
        (_, distances): (&dyn Index, f64),
        _: &[Query],
        _: &dyn Observer,
    ) -> Result<f64> {
        Ok(distances * self.distance)
    }
}

/// Values whose distribution is about normal.
fn gaussian(n: usize) -> Vec<f32> {
    let mut state = 7_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| (0..6).map(|_| uniform()).sum()).collect()
}

/// Rows near 100 points.
fn clustered(n: usize, dim: usize) -> Vec<f32> {
    let centres = gaussian(100 * dim);
    let mut rows = gaussian(n * dim);
    for (number, row) in rows.chunks_mut(dim).enumerate() {
        let centre = &centres[number * 7919 % 100 * dim..][..dim];
        row.iter_mut().zip(centre).for_each(|(value, centre)| *value = centre + 0.7 * *value);
    }
    rows
}

fn pick(values: &[f32], dim: usize, short: f64, distance: f64) -> Choice {
    let vectors = Matrix::from_slice(values, dim).unwrap();
    let costs = Costs { distance, rows: vectors.rows() };
    let policy = Policy { short, ..Policy::new(&costs) };
    let (choice, sections) =
        build(&vectors, Metric::L2, &Parameters::new(), &policy, &Silent).unwrap();
    // What was picked is what was built.
    let kind = choice.kind.kind();
    assert_eq!(sections.contains_key("graph.header"), choice.kind == Picked::Graph);
    kind.open(vectors.clone(), Metric::L2, &Parameters::new(), &sections).unwrap();
    let sections = with_choice(choice, sections).unwrap();
    let index = Auto.open(vectors, Metric::L2, &Parameters::new(), &sections).unwrap();
    assert_eq!(index.picked(), Some(format!("{}: {}", kind.name(), choice.reason)));
    choice
}

#[test]
fn rows_with_structure_get_a_graph() {
    let choice = pick(&clustered(20_000, 24), 24, 0.0, 2.0);
    assert_eq!(choice.kind, Picked::Graph, "{choice:?}");
    assert!(matches!(choice.reason, Reason::Faster { .. }));
}

#[test]
fn short_scans_stay() {
    let choice = pick(&clustered(12_000, 24), 24, 12_000.0, 2.0);
    assert_eq!(choice.kind, Picked::Flat);
    assert_eq!(choice.reason, Reason::ShortScan { scan: 12_000.0 });
}

/// Random access to a code costs several times what the next one of a scan does.
#[test]
fn rows_without_structure_stay_flat() {
    let choice = pick(&gaussian(12_000 * 96), 96, 0.0, 4.0);
    assert_eq!(choice.kind, Picked::Flat, "{choice:?}");
    let slow = matches!(choice.reason, Reason::NotFaster { .. } | Reason::OutOfReach { .. });
    assert!(slow, "{choice:?}");
}

#[test]
fn few_rows_that_no_graph_is_tuned_for() {
    let choice = pick(&gaussian(40), 4, 0.0, 0.0);
    assert_eq!(choice.kind, Picked::Flat);
    assert!(matches!(choice.reason, Reason::OutOfReach { rows: 10, .. }), "{choice:?}");
}

#[test]
fn a_graph_that_took_changes_in_stays_while_it_is_the_better_pick() {
    let vectors = Matrix::from_slice(&clustered(6000, 24), 24).unwrap();
    let (metric, none) = (Metric::L2, Parameters::new());
    let sections = Graph.build(&vectors, metric, &none, &Silent).unwrap();
    let job = Job { vectors: &vectors, metric, parameters: &none, folder: None, name: None };
    let confirmed = |short, distance| {
        let costs = Costs { distance, rows: vectors.rows() };
        let policy = Policy { short, ..Policy::new(&costs) };
        confirm(&job, &sections, &policy, &Silent).unwrap()
    };
    let choice = confirmed(0.0, 1.0).unwrap();
    assert_eq!(choice.kind, Picked::Graph);
    assert!(matches!(choice.reason, Reason::Faster { scan: 6000.0, .. }), "{choice:?}");
    assert_eq!(confirmed(6000.0, 1.0), None, "a scan is short");
    assert_eq!(confirmed(0.0, 100.0), None, "a scan is as fast");
}

#[test]
fn what_is_flat_is_picked_again() {
    let vectors = Matrix::from_slice(&[1.0, 2.0], 1).unwrap();
    let (metric, none) = (Metric::L2, Parameters::new());
    let sections = Auto.build(&vectors, metric, &none, &Silent).unwrap();
    let job = Job { vectors: &vectors, metric, parameters: &none, folder: None, name: None };
    let same = [Some(0), Some(1)];
    let previous = Previous { sections: &sections, folder: None, rows: 2, same: &same };
    assert!(Auto.update_in(&job, &previous, &Silent).unwrap().is_none());
}

#[test]
fn a_choice_that_is_none() {
    let vectors = Matrix::from_slice(&[1.0, 2.0], 1).unwrap();
    let good = Auto.build(&vectors, Metric::L2, &Parameters::new(), &Silent).unwrap();
    for bad in ["", "{}", r#"{"kind":"auto","reason":{"found":"short_scan","scan":1}}"#] {
        let mut sections = good.clone();
        sections.insert(AUTO.into(), Slab::from_slice(bad.as_bytes()));
        let opened = Auto.open(vectors.clone(), Metric::L2, &Parameters::new(), &sections);
        assert_eq!(opened.err().unwrap().kind(), ErrorKind::Damaged, "{bad}");
    }
}
