//! Recall while rows come and go: base, delta, tombstones and rebuilds, against a fresh build.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use simdex::Engine;
use simdex::engine::api::*;
use simdex::observe::Silent;

const ROWS: u64 = 6000;
const DIM: usize = 16;
const CYCLES: u64 = 10;
const QUERIES: usize = 300;
const K: usize = 10;

/// Rows around some points, which move from cycle to cycle: what comes is not quite what goes.
struct Source {
    random: Random,
    centres: Vec<Vec<f32>>,
}

impl Source {
    fn new() -> Self {
        let mut random = Random(21);
        let centres = (0..60).map(|_| random.vector(DIM)).collect();
        Self { random, centres }
    }

    fn row(&mut self) -> Vec<f32> {
        let centre = self.random.below(self.centres.len() as u64) as usize;
        let noise = self.random.vector(DIM);
        self.centres[centre].iter().zip(noise).map(|(c, n)| c + 0.7 * n).collect()
    }

    fn drift(&mut self) {
        let centre = self.random.below(self.centres.len() as u64) as usize;
        self.centres[centre] = self.random.vector(DIM);
    }
}

/// Takes a fifth of the rows away and puts as many new ones in their place.
fn churn(scene: &Scene, source: &mut Source, cycle: u64) {
    let transaction = scene.db.unchecked_transaction().unwrap();
    let sql = "delete from embeddings where rowid in (
                 select rowid from embeddings order by (rowid * 7919 + ?) % 10007 limit ?)";
    scene.db.execute(sql, (cycle as i64 * 31, ROWS as i64 / 5)).unwrap();
    source.drift();
    for row in 0..ROWS / 5 {
        scene.put(1, &format!("cycle {cycle} row {row}"), &blob(&source.row()));
    }
    transaction.commit().unwrap();
}

/// The share of the true nearest rows that searches return.
fn recall(scene: &Scene, engine: &Engine, index: &str, queries: &[Vec<f32>]) -> f64 {
    let found = queries.iter().map(|query| {
        let through = |target| engine.search(&by_vector(target, query, K), &Silent).unwrap();
        let answer = through(Target::Collection("posts".into(), Through::Index(index.into())));
        assert_eq!(answer.matches.len(), K);
        let truth = through(Target::Collection("posts".into(), Through::Exact));
        let worst = truth.matches.last().unwrap().score;
        answer.matches.iter().filter(|found| found.score >= worst).count()
    });
    let found: usize = found.sum();
    assert_eq!(
        scene.db.query_row("select count(*) from embeddings", [], |r| r.get(0)),
        Ok(ROWS as i64)
    );
    found as f64 / (queries.len() * K) as f64
}

/// Searches of both end alike, whatever was measured at their builds: what is compared is how much
/// the graphs let them find.
fn graph(name: &str) -> NewIndex {
    let parameters = [("margin".to_owned(), "0.08".to_owned())].into();
    NewIndex { parameters, ..of_kind("graph", new_index(name, &["posts"])) }
}

#[test]
fn ten_cycles_of_a_fifth_cost_no_recall() {
    let scene = Scene::new("delete");
    let collection = scene.collection("posts");
    let mut source = Source::new();
    let transaction = scene.db.unchecked_transaction().unwrap();
    (0..ROWS).for_each(|row| scene.put(collection, &format!("{row}"), &blob(&source.row())));
    transaction.commit().unwrap();
    let engine = scene.engine();
    engine.define(graph("worn")).unwrap();
    engine.build("worn", &Silent).unwrap();
    let (mut rebuilds, mut taken_in, mut changed) = (0, 0, 0);
    for cycle in 0..CYCLES {
        churn(&scene, &mut source, cycle);
        if cycle + 1 < CYCLES {
            let report = engine.refresh("worn", &Silent).unwrap();
            let IndexState::Built(built) = engine.index("worn").unwrap().state else {
                panic!("it has just been built")
            };
            if report.action == Action::Built {
                let is_changed = |(label, _): &(String, String)| label.contains("came or went");
                match built.facts.iter().any(is_changed) {
                    true => taken_in += 1,
                    false => rebuilds += 1,
                }
            }
            changed += built.tail + built.tombstones;
        }
    }
    assert!(rebuilds > 0 && taken_in > 0 && changed > 0, "{rebuilds} {taken_in} {changed}");
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| source.row()).collect();
    engine.define(graph("fresh")).unwrap();
    engine.build("fresh", &Silent).unwrap();
    let fresh = recall(&scene, &engine, "fresh", &queries);
    let searched = recall(&scene, &engine, "worn", &queries);
    engine.refresh("worn", &Silent).unwrap();
    let refreshed = recall(&scene, &engine, "worn", &queries);
    assert!(fresh > 0.9, "{fresh}");
    assert!(searched.min(refreshed) >= fresh - 0.005, "{fresh} {searched} {refreshed}");
}
