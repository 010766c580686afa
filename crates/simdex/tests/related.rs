//! Lists that are kept in step equal lists that are computed from nothing, whatever has changed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::{Connection, params};
use simdex::Engine;
use simdex::engine::api::Location;
use simdex::engine::related::{Before, Related, Vectors};
use simdex::observe::Silent;
use simdex::types::Neighbor;

const SEED: u64 = 7;

/// What happens to the collection between two computations.
#[derive(Debug, Clone)]
enum Change {
    Put(u8, [i8; 3]),
    Delete(u8),
    Null(u8),
    Shorten(u8),
}

fn any_change() -> impl Strategy<Value = Change> {
    // Few values, so that scores tie and vectors repeat.
    let vector = prop::array::uniform3(-2_i8..3);
    prop_oneof![
        6 => (any::<u8>(), vector).prop_map(|(id, vector)| Change::Put(id % 40, vector)),
        3 => any::<u8>().prop_map(|id| Change::Delete(id % 40)),
        1 => any::<u8>().prop_map(|id| Change::Null(id % 40)),
        1 => any::<u8>().prop_map(|id| Change::Shorten(id % 40)),
    ]
}

fn apply(db: &Connection, change: &Change) {
    let put = |id: &u8, blob: Option<Vec<u8>>| {
        let sql = "INSERT OR REPLACE INTO embeddings VALUES (1, ?, ?)";
        db.execute(sql, params![format!("row {id}"), blob]).unwrap();
    };
    let blob = |values: &[i8]| values.iter().flat_map(|v| f32::from(*v).to_le_bytes()).collect();
    match change {
        Change::Put(id, vector) => put(id, Some(blob(vector))),
        Change::Null(id) => put(id, None),
        Change::Shorten(id) => put(id, Some(blob(&[1, 2]))),
        Change::Delete(id) => {
            db.execute("DELETE FROM embeddings WHERE id = ?", [format!("row {id}")]).unwrap();
        }
    }
}

/// The lists by ids, as a user would see them.
type Shown = BTreeMap<String, Vec<(String, u64)>>;

fn shown(rows: &Vectors, lists: &[Vec<Neighbor>]) -> Shown {
    let named = |near: &Neighbor| (rows.ids[near.row as usize].clone(), near.score.to_bits());
    let lists = lists.iter().map(|list| list.iter().map(named).collect());
    rows.ids.iter().cloned().zip(lists).collect()
}

/// Every pair, by the plainest loop.
fn obvious(rows: &Vectors, k: usize) -> Shown {
    use simdex::Metric;
    use simdex::search::{query::Query, score::exact_score};
    let Some(vectors) = &rows.vectors else { return Shown::new() };
    let near = |row: usize| {
        let query = Query::from_f32(vectors.row(row), Metric::Cosine).unwrap();
        let others = (0..vectors.rows()).filter(|other| *other != row);
        let score = |other| exact_score(&query, vectors.row(other));
        let mut list: Vec<_> =
            others.map(|other| (rows.ids[other].clone(), score(other))).collect();
        list.sort_by(|a, b| Metric::Cosine.closer_first(a.1, b.1).then_with(|| a.0.cmp(&b.0)));
        list.truncate(k);
        list.into_iter().map(|(id, score)| (id, score.to_bits())).collect()
    };
    (0..vectors.rows()).map(|row| (rows.ids[row].clone(), near(row))).collect()
}

/// The lists after `related` in the numbers of now.
fn merged(rows: &Vectors, before: &Before, related: Related) -> Vec<Vec<Neighbor>> {
    let number = |id: &String| rows.ids.iter().position(|known| known == id).unwrap() as u32;
    let kept = |row: usize| {
        let was = before.ids.iter().position(|id| *id == rows.ids[row]).unwrap();
        let near = |near: &Neighbor| Neighbor {
            row: number(&before.ids[near.row as usize]),
            score: near.score,
        };
        before.lists[was].iter().map(near).collect()
    };
    let lists = related.lists.into_iter().enumerate();
    lists.map(|(row, list)| list.unwrap_or_else(|| kept(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kept_in_step_equals_computed_anew(
        rounds in prop::collection::vec(prop::collection::vec(any_change(), 0..12), 1..8),
        k in 1_usize..6,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let db = Connection::open(&database).unwrap();
        db.execute_batch(
            "PRAGMA synchronous = OFF;
             CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT, model TEXT);
             INSERT INTO collections VALUES (1, 'posts', 'm');
             CREATE TABLE embeddings (
                 collection_id INTEGER, id TEXT, embedding BLOB, PRIMARY KEY (collection_id, id));",
        )
        .unwrap();
        for id in 0..30 {
            apply(&db, &Change::Put(id, [1, (id % 5) as i8, (id / 7) as i8]));
        }
        let walk = Engine::open(Location { database, index_dir: None }).unwrap().walk("posts").unwrap();
        let mut before = Before::default();
        for round in rounds {
            db.execute_batch("BEGIN").unwrap();
            round.iter().for_each(|change| apply(&db, change));
            db.execute_batch("COMMIT").unwrap();
            let rows = walk.vectors(SEED, &Silent).unwrap();
            let related = rows.related(&before, k, &Silent).unwrap();
            let lists = merged(&rows, &before, related);
            prop_assert_eq!(shown(&rows, &lists), obvious(&rows, k));
            before = Before { ids: rows.ids, fingerprints: rows.fingerprints, lists };
        }
    }
}
