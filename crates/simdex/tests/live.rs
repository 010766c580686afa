//! An index that is kept open answers as one that is opened for each search, whoever writes.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use simdex::engine::api::*;
use simdex::engine::live::{Live, LiveRequest, Scoring};
use simdex::kernels::Kernels;
use simdex::observe::Silent;
use simdex::search::query::Query;
use simdex::store::Id;
use simdex::{Engine, Metric};

/// What a test does between two searches.
#[derive(Debug, Clone)]
enum Step {
    Put(i64, Vec<i8>),
    Spoil(i64),
    Delete(i64),
    Build,
    Refresh,
    Forget,
    Nothing,
}

fn any_step() -> impl Strategy<Value = Step> {
    let vector = || prop::collection::vec(-2_i8..3, 3);
    prop_oneof![
        4 => (0_i64..30, vector()).prop_map(|(id, vector)| Step::Put(id, vector)),
        1 => (0_i64..30).prop_map(Step::Spoil),
        2 => (0_i64..30).prop_map(Step::Delete),
        1 => Just(Step::Build),
        1 => Just(Step::Refresh),
        1 => Just(Step::Forget),
        1 => Just(Step::Nothing),
    ]
}

fn floats(values: &[i8]) -> Vec<f32> {
    values.iter().map(|&value| f32::from(value) / 3.0).collect()
}

fn take(step: &Step, scene: &Scene, engine: &Engine, live: &Live) {
    let put =
        "insert into t values (?, ?) on conflict do update set embedding = excluded.embedding";
    let db = &scene.db;
    match step {
        Step::Put(id, vector) => {
            db.execute(put, (id, blob(&floats(vector)))).map(drop).unwrap();
        }
        Step::Spoil(id) => db.execute(put, (id, "no blob")).map(drop).unwrap(),
        Step::Delete(id) => db.execute("delete from t where id = ?", [id]).map(drop).unwrap(),
        Step::Build => drop(engine.build("t", &Silent).unwrap()),
        Step::Refresh => drop(engine.refresh("t", &Silent).unwrap()),
        Step::Forget => live.forget(),
        Step::Nothing => {}
    }
}

/// What a loop over the table finds: ids by distance, ties in the table's order.
fn naive(scene: &Scene, query: &Query, scoring: Scoring, k: usize) -> Vec<(Id, f64)> {
    let mut statement = scene
        .db
        .prepare("select id, embedding from t where typeof(embedding) = 'blob' order by rowid")
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
    let score = |(id, blob): (i64, Vec<u8>)| {
        let vector = simdex::store::blob::decode(&blob);
        let score = match scoring {
            Scoring::LikeFaiss => query.distance_of_faiss(Kernels::detect(), &vector),
            _ => simdex::search::score::exact_score(query, &vector),
        };
        (Id::Integer(id), score)
    };
    let rows = statement.query_map([], row).unwrap();
    let mut found: Vec<_> = rows.map(|row| score(row.unwrap())).collect();
    found.sort_by(|a, b| query.metric().closer_first(a.1, b.1));
    found.truncate(k);
    found
}

fn scene(journal: &str) -> Scene {
    let scene = Scene::new(journal);
    let table = "create table t (id integer primary key, embedding)";
    scene.db.execute_batch(table).unwrap();
    scene
}

fn table() -> NewIndex {
    let source = NewSource::Table {
        table: "t".into(),
        id_column: None,
        embedding_column: None,
        filter: None,
    };
    NewIndex { sources: vec![source], metric: Some(Metric::L2), ..new_index("t", &[]) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_a_loop_over_the_rows(
        journal in prop::sample::select(vec!["wal", "delete"]),
        steps in prop::collection::vec(any_step(), 1..30),
        query in prop::collection::vec(-2_i8..3, 3),
        k in 0_usize..12,
    ) {
        let scene = scene(journal);
        let engine = Arc::new(scene.engine());
        engine.define(table()).unwrap();
        let live = Live::new(Arc::clone(&engine), "t");
        let vector = floats(&query);
        for step in steps {
            take(&step, &scene, &engine, &live);
            for scoring in [Scoring::LikeFaiss, Scoring::Exact, Scoring::ExactUnder(Metric::Dot)] {
                let metric = match scoring {
                    Scoring::ExactUnder(metric) => metric,
                    _ => Metric::L2,
                };
                let request = LiveRequest {
                    vector: vector.clone(), k, scoring, only: None, without: Vec::new(),
                };
                let found = live.search(&request, &Silent).unwrap();
                let query = Query::from_f32(&vector, metric).unwrap();
                prop_assert_eq!(found.matches, naive(&scene, &query, scoring, k), "{:?}", scoring);
            }
        }
    }
}

#[test]
fn ids_can_be_chosen_and_left_out() {
    let scene = scene("wal");
    for id in 0..6_i64 {
        scene.db.execute("insert into t values (?, ?)", (id, blob(&[id as f32]))).unwrap();
    }
    let engine = Arc::new(scene.engine());
    engine.define(table()).unwrap();
    let live = Live::new(Arc::clone(&engine), "t");
    let ids = |only: Option<&[i64]>, without: &[i64]| -> Vec<i64> {
        let ids = |ids: &[i64]| ids.iter().map(|&id| Id::Integer(id)).collect::<Vec<_>>();
        let request = LiveRequest {
            vector: vec![0.0],
            k: 3,
            scoring: Scoring::Exact,
            only: only.map(ids),
            without: ids(without),
        };
        let found = live.search(&request, &Silent).unwrap().matches;
        found.iter().map(|(id, _)| id.to_string().parse().unwrap()).collect()
    };
    // Read from the database, then through the index, then with rows that are newer.
    for built in 0..3 {
        match built {
            1 => drop(engine.build("t", &Silent).unwrap()),
            2 => scene.db.execute_batch("delete from t where id = 1").unwrap(),
            _ => {}
        }
        let all: &[i64] = if built < 2 { &[0, 1, 2] } else { &[0, 2, 3] };
        assert_eq!(ids(None, &[]), all);
        assert_eq!(ids(None, &[0, 1, 99]), [2, 3, 4]);
        assert_eq!(ids(Some(&[5, 4, 99]), &[]), [4, 5]);
        assert_eq!(ids(Some(&[5, 4]), &[4]), [5]);
        assert_eq!(ids(Some(&[]), &[]), [0_i64; 0]);
    }
}

#[test]
fn a_query_of_another_size_is_refused_both_ways() {
    let scene = scene("delete");
    scene.db.execute("insert into t values (1, ?)", [blob(&[1.0, 2.0])]).unwrap();
    let engine = Arc::new(scene.engine());
    engine.define(table()).unwrap();
    let live = Live::new(Arc::clone(&engine), "t");
    let request = LiveRequest {
        vector: vec![0.0; 3],
        k: 3,
        scoring: Scoring::LikeFaiss,
        only: None,
        without: Vec::new(),
    };
    for _ in 0..2 {
        let error = live.search(&request, &Silent).unwrap_err().to_string();
        assert_eq!(error, "the query has 3 dimensions, the rows of `t` have 2");
        engine.build("t", &Silent).unwrap();
    }
}
