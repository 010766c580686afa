//! Indexes over bare vectors, of every kind, against a map that is searched by a plain loop.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use simdex::bare::{Ids, Recipe};
use simdex::index::{KINDS, Parameters};
use simdex::matrix::Matrix;
use simdex::observe::Silent;
use simdex::search::query::Query;
use simdex::search::score::exact_score;
use simdex::{ErrorKind, Flat, Graph, Hit, Metric, Vectors};

type Model = BTreeMap<u64, Vec<f32>>;

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<u8>),
    AddWithIds(Vec<(u64, u8)>),
    Remove(Vec<u64>),
    Rebuild,
    SaveAndOpen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0_u64..40;
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..9).prop_map(Step::Add),
        2 => prop::collection::vec((id.clone(), any::<u8>()), 0..6).prop_map(Step::AddWithIds),
        3 => prop::collection::vec(id, 0..9).prop_map(Step::Remove),
        1 => Just(Step::Rebuild),
        1 => Just(Step::SaveAndOpen),
    ]
}

/// Few distinct vectors, so that ties are common.
fn vector(number: u8, dim: usize) -> Vec<f32> {
    (0..dim)
        .map(|i| f32::from(number / 3) * 0.25 + ((i * 7 + usize::from(number)) % 5) as f32 + 0.5)
        .collect()
}

fn build(kind: &str, metric: Metric, rows: &[f32], dim: usize) -> Vectors {
    let recipe = Recipe { kind: kind.into(), metric, parameters: Parameters::new() };
    let rows = Matrix::from_slice(rows, dim).unwrap();
    Vectors::build(recipe, rows, Ids::RowNumbers, &Silent).unwrap()
}

fn naive(model: &Model, metric: Metric, query: &[f32], k: usize) -> Vec<Hit> {
    let query = Query::from_f32(query, metric).unwrap();
    let score = |(&id, row): (&u64, &Vec<f32>)| Hit { id, score: exact_score(&query, row) };
    let mut hits: Vec<Hit> = model.iter().map(score).collect();
    hits.sort_by(|a, b| metric.closer_first(a.score, b.score).then(a.id.cmp(&b.id)));
    hits.truncate(k);
    hits
}

fn apply(index: &mut Vectors, model: &mut Model, next: &mut u64, step: &Step, path: &Path) {
    let dim = index.dim();
    match step {
        Step::Add(numbers) => {
            let rows: Vec<Vec<f32>> = numbers.iter().map(|&n| vector(n, dim)).collect();
            let ids = index.add(&rows.concat()).unwrap();
            assert_eq!(ids, *next..*next + rows.len() as u64);
            model.extend(ids.zip(rows));
            *next += numbers.len() as u64;
        }
        Step::AddWithIds(pairs) => {
            let ids: Vec<u64> = pairs.iter().map(|&(id, _)| id).collect();
            let rows: Vec<Vec<f32>> = pairs.iter().map(|&(_, n)| vector(n, dim)).collect();
            let twice = (1..ids.len()).any(|i| ids[..i].contains(&ids[i]));
            let known = ids.iter().any(|id| model.contains_key(id));
            match index.add_with_ids(&rows.concat(), &ids) {
                Ok(()) => {
                    assert!(!twice && !known);
                    *next = ids.iter().fold(*next, |next, id| next.max(id + 1));
                    model.extend(ids.into_iter().zip(rows));
                }
                Err(error) if twice => assert_eq!(error.kind(), ErrorKind::Invalid),
                Err(error) => {
                    assert!(known);
                    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                }
            }
        }
        Step::Remove(ids) => {
            let before = model.len();
            ids.iter().for_each(|id| drop(model.remove(id)));
            assert_eq!(index.remove(ids).unwrap(), before - model.len());
        }
        Step::Rebuild => index.rebuild(&Silent).unwrap(),
        Step::SaveAndOpen => {
            index.save(path).unwrap();
            *index = Vectors::open(path).unwrap();
            index.verify().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    /// So few rows are ranked one by one by every kind, so that all must give the naive answer.
    #[test]
    fn every_kind_gives_the_naive_answer(
        start in prop::collection::vec(any::<u8>(), 0..30),
        steps in prop::collection::vec(step(), 0..12),
        dim in prop::sample::select(vec![1_usize, 3, 17]),
        metric in prop::sample::select(Metric::ALL.to_vec()),
        k in 0_usize..50,
    ) {
        let folder = tempfile::tempdir().unwrap();
        for kind in KINDS {
            let rows: Vec<Vec<f32>> = start.iter().map(|&n| vector(n, dim)).collect();
            let mut index = build(kind.name(), metric, &rows.concat(), dim);
            let mut model: Model = (0..).zip(rows).collect();
            let mut next = model.len() as u64;
            for step in &steps {
                apply(&mut index, &mut model, &mut next, step, &folder.path().join("saved"));
                prop_assert_eq!(index.len(), model.len());
                let queries = [vector(7, dim), vector(200, dim)];
                let found = index.search_batch(&queries.concat(), k).unwrap();
                for (query, found) in queries.iter().zip(&found) {
                    prop_assert_eq!(found, &naive(&model, metric, query, k), "{:?}", kind.name());
                    prop_assert_eq!(found, &index.search(query, k).unwrap());
                }
            }
        }
    }
}

/// Enough changes to be folded into a new base, within the call that made them.
#[test]
fn many_changes_build_anew() {
    for kind in KINDS {
        let rows: Vec<f32> = (0..6000).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut index = build(kind.name(), Metric::L2, &rows, 2);
        let changed = |index: &Vectors| {
            index.facts().iter().find(|(label, _)| label.starts_with("changed")).unwrap().1.clone()
        };
        index.add(&rows[..4000]).unwrap();
        assert_eq!(changed(&index), "2000", "{}", kind.name());
        index.add(&rows[..4400]).unwrap();
        assert_eq!((changed(&index).as_str(), index.len()), ("0", 7200));
        index.remove(&(0..4096).collect::<Vec<_>>()).unwrap();
        assert_eq!((changed(&index).as_str(), index.len()), ("4096", 3104));
        index.remove(&[4096]).unwrap();
        assert_eq!((changed(&index).as_str(), index.len()), ("0", 3103));
        assert_eq!(index.add(&[0.0, 0.0]).unwrap(), 7200..7201, "ids are not given again");
    }
}

/// Under the ids that they had, and without those that are gone.
#[test]
fn a_graph_takes_many_changes_in() {
    const DIM: usize = 4;
    let mut state = 1_u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let rows: Vec<f32> = (0..8200 * DIM).map(|_| number()).collect();
    let (base, added) = rows.split_at(5000 * DIM);
    let mut index = build("graph", Metric::L2, base, DIM);
    assert_eq!(index.remove(&(0..1000).collect::<Vec<_>>()).unwrap(), 1000);
    assert_eq!(index.add(added).unwrap(), 5000..8200);
    let facts = index.facts();
    let fact = |part: &str| facts.iter().find(|(label, _)| label.contains(part)).unwrap().1.clone();
    assert_eq!((fact("changed since the base"), fact("came or went")), ("0".into(), "4200".into()));
    let found = index.search_batch(&rows, 1).unwrap();
    let found: Vec<Option<u64>> = found.iter().map(|hits| hits.first().map(|hit| hit.id)).collect();
    assert!(found.iter().flatten().all(|id| (1000..8200).contains(id)));
    let hits = (1000..8200).filter(|&id| found[id as usize] == Some(id)).count();
    assert!(hits >= 7200 * 98 / 100, "{hits} of 7200 rows are found by their own vectors");
}

#[test]
fn files_of_the_other_kind_and_files_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved");
    Graph::build(&[1.0, 2.0], 1, Metric::L2, &Parameters::new()).unwrap().save(&path).unwrap();
    let error = Flat::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("holds an index of kind `graph`, not `flat`"), "{error}");
    assert_eq!(Graph::open(&path).unwrap().search(&[2.5], 1).unwrap()[0].id, 1);
    assert_eq!(Flat::open(&folder.path().join("no")).unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(&path, "this is text").unwrap();
    assert_eq!(Graph::open(&path).unwrap_err().kind(), ErrorKind::Damaged);
    let no_folder = folder.path().join("no").join("saved");
    assert!(Flat::build(&[1.0], 1, Metric::L2).unwrap().save(&no_folder).is_err());
}

/// A flipped bit is found when the file is opened or verified, and no search panics for it.
#[test]
fn every_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved");
    for kind in KINDS {
        let rows: Vec<f32> = (0..40).map(|i| (i as f32).cos()).collect();
        let mut index = build(kind.name(), Metric::Cosine, &rows, 4);
        index.add(&rows[..8]).unwrap();
        index.remove(&[1, 3]).unwrap();
        index.save(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        // The entries of the header are checked together; of the rest every byte counts.
        let bytes = (0..4096).step_by(61).chain(4096..good.len());
        for at in bytes {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bad).unwrap();
            let found = Vectors::open(&path).and_then(|index| {
                let _ = index.search_batch(&rows[..8], 5);
                index.verify()
            });
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Damaged, "{} byte {at}", kind.name());
        }
        for length in (0..good.len()).step_by(97) {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(Vectors::open(&path).unwrap_err().kind(), ErrorKind::Damaged);
        }
    }
}

#[test]
fn what_has_no_score_is_refused() {
    let message = |result: simdex::Result<Flat>| result.unwrap_err().to_string();
    let zero = Flat::build(&[1.0, 0.0, 0.0, 0.0], 2, Metric::Cosine);
    assert_eq!(message(zero), "row 1 is zero, which has no cosine similarity to anything");
    let nan = Flat::build(&[f32::NAN], 1, Metric::Dot);
    assert_eq!(message(nan), "row 0 holds a value that is not finite");
    let mut index = Flat::build(&[1.0, 2.0], 2, Metric::Dot).unwrap();
    assert!(index.search(&[1.0], 1).is_err());
    assert!(index.search_batch(&[1.0, 2.0, 3.0], 1).is_err());
    assert!(index.add(&[1.0, f32::INFINITY]).is_err());
    assert!(index.add(&[1.0]).is_err());
    assert!(index.add_with_ids(&[1.0, 2.0], &[1, 2]).is_err());
    assert!(index.set("recall", "0.9").is_err());
    assert_eq!(index.len(), 1);
    index.add_with_ids(&[1.0, 1.0], &[u64::MAX]).unwrap();
    assert!(index.add(&[1.0, 1.0]).is_err(), "there is no higher id");
    assert_eq!(index.search(&[1.0, 0.0], 5).unwrap().len(), 2);
}
