//! `compare`: every kind measured, on given vectors and on a collection.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Random, Scene, new_index};
use simdex::compare::{self, CompareRequest, Contender, Contest, Trial, Try};
use simdex::index::{KINDS, Parameters};
use simdex::matrix::{Matrix, MatrixBuilder};
use simdex::observe::{Observer, Silent};
use simdex::{ErrorKind, Metric};

fn random(rows: usize, dim: usize, seed: u64) -> Matrix {
    let mut random = Random(seed);
    let mut builder = MatrixBuilder::new(dim, rows).unwrap();
    (0..rows).for_each(|_| builder.add_row().copy_from_slice(&random.vector(dim)));
    builder.finish().unwrap()
}

fn contest(metric: Metric) -> Contest {
    Contest {
        base: random(400, 16, 1),
        queries: random(20, 16, 2),
        truth: None,
        contenders: Contender::every_kind(metric).collect(),
        k: 10,
        threads: Some(1).into(),
    }
}

fn request(name: &str) -> CompareRequest {
    CompareRequest {
        name: name.into(),
        tries: vec![],
        k: 5,
        queries: None,
        threads: Some(1).into(),
    }
}

fn check(trials: &[Trial]) {
    for trial in trials {
        let kind = simdex::index::kind(&trial.kind).unwrap();
        assert!(trial.build_seconds > 0.0 && !trial.points.is_empty());
        assert!(!cfg!(target_os = "linux") || trial.peak_memory_bytes > Some(0));
        for point in &trial.points {
            assert!((0.0..=1.0).contains(&point.recall), "{point:?}");
            assert!(!kind.is_exact() || point.recall == 1.0, "{point:?}");
            assert!(point.queries_per_second > 0.0 && point.batch_queries_per_second > 0.0);
            let times = point.latency;
            assert!(0.0 < times.p50_ms && times.p50_ms <= times.p95_ms);
            assert!(times.p95_ms <= times.p99_ms);
        }
    }
}

#[test]
fn every_kind_is_measured() {
    for metric in Metric::ALL {
        let comparison = compare::run(&contest(metric), &Silent).unwrap();
        assert_eq!(comparison.trials.len() + comparison.notices.len(), KINDS.len());
        assert_eq!((comparison.rows, comparison.queries, comparison.threads), (400, 20, 1));
        check(&comparison.trials);
    }
}

#[test]
fn a_given_truth_is_what_answers_are_held_against() {
    let mut contest = contest(Metric::L2);
    contest.contenders.truncate(1);
    contest.k = 1;
    // The bar of a wrong truth is too low, so every better row counts.
    contest.truth = Some(vec![vec![3]; 20]);
    assert_eq!(compare::run(&contest, &Silent).unwrap().trials[0].points[0].recall, 1.0);
    let refusal = |truth| {
        let contest = Contest { truth: Some(truth), ..contest.clone() };
        compare::run(&contest, &Silent).unwrap_err().to_string()
    };
    assert_eq!(refusal(vec![vec![1]; 19]), "the truth is of 19 queries, and there are 20");
    assert_eq!(refusal(vec![vec![]; 20]), "the truth has 0 rows for query 0, and 1 are needed");
    assert_eq!(
        refusal(vec![vec![400]; 20]),
        "the truth names row 400 for query 0, and there are 400 rows"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let refusal = |contest: &Contest| compare::run(contest, &Silent).unwrap_err().to_string();
    let mut wrong = contest(Metric::Cosine);
    wrong.queries = random(3, 8, 1);
    assert_eq!(refusal(&wrong), "the queries have 8 dimensions, the rows 16");
    wrong.queries = Matrix::from_slice(&[0.0; 16], 16).unwrap();
    assert_eq!(
        refusal(&wrong),
        "row 0 is zero, which has no cosine similarity to anything [vectors: queries]"
    );
    assert!(compare::run(&Contest { k: 0, ..contest(Metric::L2) }, &Silent).is_err());
}

#[test]
fn more_results_than_rows() {
    let contest = Contest { k: 1000, ..contest(Metric::Cosine) };
    let comparison = compare::run(&contest, &Silent).unwrap();
    check(&comparison.trials);
}

#[test]
fn a_stop_is_heard() {
    struct Impatient;
    impl Observer for Impatient {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let error = compare::run(&contest(Metric::L2), &Impatient).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_collection_is_compared_without_a_trace() {
    let scene = Scene::with_rows("delete", "posts", 300, 8);
    let engine = scene.engine();
    let comparison = engine.compare(&request("posts"), &Silent).unwrap();
    assert_eq!((comparison.rows, comparison.queries, comparison.dimensions), (270, 30, 8));
    assert!(comparison.trials.iter().all(|trial| trial.index.is_none()));
    let files = scene.folder.path().read_dir().unwrap().count();
    assert_eq!(files, 1, "nothing is written");
}

#[test]
fn indexes_and_tries_are_compared() {
    let scene = Scene::with_rows("delete", "posts", 300, 8);
    let engine = scene.engine();
    engine.define(new_index("one", &["posts"])).unwrap();
    let l2 =
        simdex::engine::api::NewIndex { metric: Some(Metric::L2), ..new_index("two", &["posts"]) };
    engine.define(l2).unwrap();
    let tries = KINDS
        .iter()
        .map(|kind| Try { kind: kind.name().to_owned(), parameters: Parameters::new() });
    let both = CompareRequest { tries: tries.collect(), queries: Some(7), ..request("posts") };
    let comparison = engine.compare(&both, &Silent).unwrap();
    let names: Vec<_> = comparison.trials.iter().map(|trial| trial.index.as_deref()).collect();
    assert_eq!(names[..2], [Some("one"), Some("two")]);
    assert_eq!(names.len(), 2 + KINDS.len());
    let metrics: Vec<_> = comparison.trials.iter().map(|trial| trial.metric).collect();
    assert_eq!(metrics[..3], [Metric::Cosine, Metric::L2, Metric::Cosine]);
    assert_eq!((comparison.rows, comparison.queries), (293, 7));
    check(&comparison.trials);

    let comparison = engine.compare(&request("two"), &Silent).unwrap();
    assert_eq!(comparison.trials.len(), 1);
    assert_eq!(comparison.trials[0].metric, Metric::L2);
}

#[test]
fn rows_that_have_no_score_are_left_out() {
    let scene = Scene::with_rows("delete", "posts", 20, 4);
    scene.put(1, "bad", b"12345");
    scene.put(1, "zero", &[0; 16]);
    scene.put(1, "0", &[0; 8]);
    let comparison = scene.engine().compare(&request("posts"), &Silent).unwrap();
    assert_eq!(comparison.rows + comparison.queries, 20);
    assert_eq!(
        comparison.notices[0],
        "rows that can't be searched: 1: length not a multiple of 4 bytes, 2: zero vector"
    );
    let refusal = |request| scene.engine().compare(&request, &Silent).unwrap_err();
    assert_eq!(refusal(request("nope")).kind(), ErrorKind::NotFound);
    let greedy = CompareRequest { queries: Some(20), ..request("posts") };
    assert_eq!(refusal(greedy).to_string(), "20 of 20 rows can't be held out as queries");
    let unknown = Try { kind: "nope".into(), parameters: Parameters::new() };
    let unknown = CompareRequest { tries: vec![unknown], ..request("posts") };
    assert_eq!(refusal(unknown).kind(), ErrorKind::Invalid);
}
