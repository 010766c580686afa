//! Graphs that take changes in against an exact scan of the rows of now.

use proptest::prelude::*;

use super::super::Graph;
use super::super::random::Random;
use super::super::tests::{clustered, recall};
use super::*;
use crate::ErrorKind;
use crate::index::{Kind, Parameters};
use crate::matrix::{Matrix, Slab};
use crate::observe::Silent;
use crate::search::query::Query;
use crate::types::Metric;

/// Rows that come and go, by number of a pool.
struct Rows {
    pool: Vec<f32>,
    dim: usize,
    there: Vec<u32>,
    absent: Vec<u32>,
    random: Random,
}

impl Rows {
    /// The first `there` of the rows of `pool` are there.
    fn new(pool: Vec<f32>, dim: usize, there: usize) -> Self {
        let rows = (pool.len() / dim) as u32;
        let there = there as u32;
        let random = Random::new(17);
        Self { pool, dim, there: (0..there).collect(), absent: (there..rows).collect(), random }
    }

    fn vectors(&self) -> Matrix {
        let row = |&row: &u32| &self.pool[row as usize * self.dim..][..self.dim];
        let values: Vec<f32> = self.there.iter().flat_map(row).copied().collect();
        Matrix::from_slice(&values, self.dim).unwrap()
    }

    /// Takes `gone` rows away and adds `new` ones; returns for each row its place before.
    fn change(&mut self, gone: usize, new: usize) -> Vec<Option<u32>> {
        let before: Vec<u32> = self.there.clone();
        self.random.shuffle(&mut self.there);
        self.random.shuffle(&mut self.absent);
        let leaving = self.there.split_off(self.there.len() - gone);
        self.there.extend(self.absent.drain(..new));
        self.absent.extend(leaving);
        let place = |row: &u32| before.iter().position(|old| old == row).map(|at| at as u32);
        self.there.iter().map(place).collect()
    }
}

/// What [`Graph`] makes of an earlier graph over `rows` rows.
fn updated(
    vectors: &Matrix,
    metric: Metric,
    (sections, rows): (&Sections, usize),
    same: &[Option<u32>],
    parameters: &Parameters,
) -> Option<Sections> {
    let job = Job { vectors, metric, parameters, folder: None, name: None };
    let previous = Previous { sections, folder: None, rows, same };
    Graph.update_in(&job, &previous, &Silent).unwrap()
}

fn mean_recall(vectors: &Matrix, metric: Metric, sections: &Sections, queries: &Matrix) -> f64 {
    let index = Graph.open(vectors.clone(), metric, &Parameters::new(), sections).unwrap();
    let queries = (0..queries.rows()).map(|row| Query::from_f32(queries.row(row), metric).unwrap());
    let recalls: Vec<f64> = queries
        .map(|query| {
            let found = index.candidates(&query, 10, None, &Silent).unwrap();
            recall(vectors, &query, 10, &found)
        })
        .collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// Every row once, at a node whose other rows are equal.
fn assert_sound(vectors: &Matrix, metric: Metric, sections: &Sections) {
    let space = Space::new(vectors.dim(), metric, 0.0);
    let layout = Layout::read(sections, vectors.rows(), space.point_dim()).unwrap();
    let mut rows: Vec<u32> = layout.rows.to_vec();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..vectors.rows() as u32));
    for node in 0..layout.header.nodes as u32 {
        let list: Vec<u32> = layout.field(Kernels::detect()).neighbors(node).collect();
        assert!(!list.contains(&node), "{node} is its own neighbour");
        let mut distinct = list.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), list.len(), "{node}: {list:?}");
    }
}

#[test]
fn the_target_recall_is_reached_cycle_after_cycle() {
    let dim = 16;
    for metric in Metric::ALL {
        let mut values = clustered(8000, dim, 60, 0.6);
        let queries = Matrix::from_slice(&values.split_off(7940 * dim), dim).unwrap();
        // Some rows are equal, so that nodes lose some of their rows, or all.
        values.copy_within(..500 * dim, 3000 * dim);
        let mut rows = Rows::new(values, dim, 5500);
        let mut vectors = rows.vectors();
        let mut sections = Graph.build(&vectors, metric, &Parameters::new(), &Silent).unwrap();
        let mut taken_in = 0;
        for (gone, new) in [(500, 500), (0, 700), (900, 0), (400, 600)] {
            let before = vectors.rows();
            let same = rows.change(gone, new);
            vectors = rows.vectors();
            let none = Parameters::new();
            let changed = updated(&vectors, metric, (&sections, before), &same, &none);
            taken_in += u32::from(changed.is_some());
            sections =
                changed.unwrap_or_else(|| Graph.build(&vectors, metric, &none, &Silent).unwrap());
            assert_sound(&vectors, metric, &sections);
            let recall = mean_recall(&vectors, metric, &sections, &queries);
            assert!(recall >= 0.93, "{metric}, {gone} gone, {new} new: {recall}");
        }
        // Under dot, a row may come that is longer than all before.
        assert!(taken_in == 4 || metric == Metric::Dot && taken_in > 0, "{metric}: {taken_in}");
    }
}

fn sample() -> (Rows, Matrix, Sections) {
    let rows = Rows::new(clustered(5000, 6, 10, 0.5), 6, 4300);
    let vectors = rows.vectors();
    let sections = Graph.build(&vectors, Metric::L2, &Parameters::new(), &Silent).unwrap();
    (rows, vectors, sections)
}

#[test]
fn changes_are_taken_in_alike_with_any_number_of_threads() {
    let (mut rows, vectors, sections) = sample();
    let same = rows.change(200, 300);
    let now = rows.vectors();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let before = (&sections, vectors.rows());
        pool.install(|| updated(&now, Metric::L2, before, &same, &Parameters::new()).unwrap())
    };
    let (one, three) = (with(1), with(3));
    for (name, section) in &one {
        assert!(section[..] == three[name][..], "{name} differs");
    }
}

#[test]
fn many_changes_call_for_a_build() {
    let (mut rows, mut vectors, mut sections) = sample();
    let mut cycles = 0;
    loop {
        let before = vectors.rows();
        let same = rows.change(600, 600);
        vectors = rows.vectors();
        let none = Parameters::new();
        match updated(&vectors, Metric::L2, (&sections, before), &same, &none) {
            Some(taken_in) => sections = taken_in,
            None => break,
        }
        cycles += 1;
    }
    // 1,200 nodes come or go each time.
    assert_eq!(cycles, (4300.0 * MOST_CHANGES) as usize / 1200);
}

/// Codes are along the directions of the rows that there were.
#[test]
fn twice_the_nodes_call_for_a_build() {
    let mut rows = Rows::new(clustered(9000, 6, 10, 0.5), 6, 4300);
    let mut vectors = rows.vectors();
    let mut sections = Graph.build(&vectors, Metric::L2, &Parameters::new(), &Silent).unwrap();
    for (new, is_taken_in) in [(2000, true), (2000, true), (600, false)] {
        let before = vectors.rows();
        let same = rows.change(0, new);
        vectors = rows.vectors();
        let none = Parameters::new();
        let made = updated(&vectors, Metric::L2, (&sections, before), &same, &none);
        assert_eq!(made.is_some(), is_taken_in, "{new} more than {before}");
        sections = made.unwrap_or(sections);
    }
}

/// Most of the nodes near the entry are gone, and with them the links to the others.
#[test]
fn what_falls_apart_calls_for_a_build() {
    let (dim, rows) = (4, 9000);
    let mut values = clustered(rows, dim, 1, 1.0);
    // Two groups that only long edges connect.
    for row in values.chunks_exact_mut(dim).take(rows * 2 / 5) {
        row[0] += 1000.0;
    }
    let vectors = Matrix::from_slice(&values, dim).unwrap();
    let none = Parameters::new();
    let sections = Graph.build(&vectors, Metric::L2, &none, &Silent).unwrap();
    let stay: Vec<u32> = (rows as u32 * 2 / 5 - 5..rows as u32).collect();
    let kept: Vec<f32> = stay.iter().flat_map(|&row| vectors.row(row as usize)).copied().collect();
    let kept = Matrix::from_slice(&kept, dim).unwrap();
    let same: Vec<Option<u32>> = stay.iter().copied().map(Some).collect();
    assert!(updated(&kept, Metric::L2, (&sections, rows), &same, &none).is_none());
}

#[test]
fn what_does_not_fit_calls_for_a_build() {
    let (mut rows, vectors, sections) = sample();
    let before = (&sections, vectors.rows());
    let none = Parameters::new();
    let other_degree: Parameters = [("degree".to_owned(), "24".to_owned())].into();
    let same: Vec<Option<u32>> = (0..4300).map(Some).collect();
    assert!(updated(&vectors, Metric::L2, before, &same, &none).is_some());
    assert!(updated(&vectors, Metric::L2, before, &same, &other_degree).is_none());
    let lies = updated(&vectors, Metric::L2, (&sections, 4299), &same, &none);
    assert!(lies.is_none(), "the sections are of another number of rows");
    let same = rows.change(1000, 0);
    assert!(updated(&rows.vectors(), Metric::L2, before, &same, &none).is_none(), "few are left");

    let sections = Graph.build(&vectors, Metric::Dot, &none, &Silent).unwrap();
    let mut longer = vectors.values().to_vec();
    longer[..6].iter_mut().for_each(|value| *value *= 10.0);
    let longer = Matrix::from_slice(&longer, 6).unwrap();
    let same: Vec<Option<u32>> = (0..4300).map(|row| (row > 0).then_some(row)).collect();
    assert!(updated(&longer, Metric::Dot, (&sections, 4300), &same, &none).is_none());
    let shorter: Vec<f32> = vectors.values().iter().map(|value| value * 0.5).collect();
    let shorter = Matrix::from_slice(&shorter, 6).unwrap();
    let same: Vec<Option<u32>> = (0..4300).map(Some).collect();
    assert!(updated(&shorter, Metric::Dot, (&sections, 4300), &same, &none).is_none());
}

#[test]
fn taking_in_can_be_stopped() {
    struct Impatient;
    impl Observer for Impatient {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let (mut rows, vectors, sections) = sample();
    let same = rows.change(10, 10);
    let (now, none) = (rows.vectors(), Parameters::new());
    let job =
        Job { vectors: &now, metric: Metric::L2, parameters: &none, folder: None, name: None };
    let previous =
        Previous { sections: &sections, folder: None, rows: vectors.rows(), same: &same };
    let outcome = Graph.update_in(&job, &previous, &Impatient);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
}

/// What comes of sections with any content is a sound graph, if one comes of them at all.
fn survives(rows: &Rows, same: &[Option<u32>], sections: &Sections) {
    let vectors = rows.vectors();
    let before = (sections, 4300);
    if let Some(made) = updated(&vectors, Metric::L2, before, same, &Parameters::new()) {
        match Graph.open(vectors.clone(), Metric::L2, &Parameters::new(), &made) {
            Ok(_) => assert_sound(&vectors, Metric::L2, &made),
            // What can't be measured can't be written.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged),
        }
    }
}

#[test]
fn sections_filled_with_nonsense_do_no_harm() {
    let (mut rows, _, sections) = sample();
    let same = rows.change(100, 100);
    for name in sections.keys() {
        for fill in [0u8, 1, 0x7f, 0xff] {
            let mut hostile = sections.clone();
            let bytes = vec![fill; sections[name].len()];
            hostile.insert(name.clone(), Slab::from_slice(&bytes));
            survives(&rows, &same, &hostile);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn altered_bytes_do_no_harm(
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
            1..4000,
        ),
    ) {
        let (mut rows, _, sections) = sample();
        let same = rows.change(100, 100);
        let names: Vec<&String> =
            sections.keys().filter(|name| *name != "graph.header").collect();
        let mut bytes: Vec<Vec<u8>> = names.iter().map(|name| sections[*name].to_vec()).collect();
        for (section, at, value) in changes {
            let section = section.get_mut(&mut bytes);
            if !section.is_empty() {
                *at.get_mut(section) = value;
            }
        }
        let mut hostile = sections.clone();
        for (name, bytes) in names.into_iter().zip(&bytes) {
            hostile.insert(name.clone(), Slab::from_slice(bytes));
        }
        survives(&rows, &same, &hostile);
    }
}
