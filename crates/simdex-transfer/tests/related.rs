//! The table of closest rows: kept in step it is the table made anew, and it is never half-made.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Place, row};
use proptest::prelude::*;
use rusqlite::Connection;
use simdex::ErrorKind;
use simdex::observe::{Observer, Silent};
use simdex_transfer::related::{self, RelatedRequest, Report};

fn keep(place: &Place, output: &Path, k: usize, observer: &dyn Observer) -> simdex::Result<Report> {
    let request = RelatedRequest { output, table: "similarities", k };
    related::keep(&place.walk(), "posts", &request, observer)
}

fn table(output: &Path) -> Vec<(String, String, u64)> {
    let db = Connection::open(output).unwrap();
    let mut rows =
        db.prepare("SELECT id, other_id, score FROM similarities ORDER BY 1, 2").unwrap();
    let rows =
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, f64>(2)?.to_bits())));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn place() -> Place {
    let vector = |number: u8| [f32::from(number % 7), f32::from(number % 5) - 2.0, 1.0];
    let rows: Vec<_> = (0..40).map(|number| row(&format!("r{number}"), &vector(number))).collect();
    Place::with(&rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn kept_in_step_is_made_anew(
        rounds in prop::collection::vec(
            prop::collection::vec((0_u8..48, prop::option::of(0_u8..64)), 0..5), 1..5),
        k in prop::collection::vec(1_usize..4, 5),
    ) {
        let place = place();
        let db = Connection::open(place.path("source.db")).unwrap();
        let kept = place.path("kept.db");
        keep(&place, &kept, k[4], &Silent).unwrap();
        for (number, (round, k)) in rounds.iter().zip(&k).enumerate() {
            let transaction = db.unchecked_transaction().unwrap();
            for (id, value) in round {
                let id = format!("r{id}");
                match value {
                    None => db.execute("DELETE FROM embeddings WHERE id = ?", [id]).unwrap(),
                    Some(value) => {
                        let sql = "INSERT OR REPLACE INTO embeddings (collection_id, id, embedding)
                             VALUES (1, ?, ?)";
                        let vector = [f32::from(value % 8), f32::from(value / 8), 1.0];
                        db.execute(sql, (id, vector.map(f32::to_le_bytes).concat())).unwrap()
                    }
                };
            }
            transaction.commit().unwrap();
            keep(&place, &kept, *k, &Silent).unwrap();
            let anew = place.path(&format!("anew {number}.db"));
            keep(&place, &anew, *k, &Silent).unwrap();
            prop_assert_eq!(table(&kept), table(&anew));
        }
    }
}

#[test]
fn a_second_run_does_only_what_changed() {
    let place = place();
    let output = place.path("out.db");
    let first = keep(&place, &output, 3, &Silent).unwrap();
    assert_eq!((first.rows, first.changed, first.lists), (40, 40, 40));
    assert_eq!(table(&output).len(), 120);
    let second = keep(&place, &output, 3, &Silent).unwrap();
    assert_eq!((second.changed, second.gone, second.lists), (0, 0, 0));
    // A table that somebody has been at is made anew.
    let whole = table(&output);
    let db = Connection::open(&output).unwrap();
    db.execute_batch("DELETE FROM similarities WHERE id = 'r1' AND other_id > 'r2'").unwrap();
    keep(&place, &output, 3, &Silent).unwrap();
    assert_eq!(table(&output), whole);
    db.execute_batch("INSERT INTO similarities VALUES ('mine', 'r2', 1.0)").unwrap();
    keep(&place, &output, 3, &Silent).unwrap();
    assert_eq!(table(&output), whole);
    db.execute_batch("DROP TABLE similarities").unwrap();
    keep(&place, &output, 3, &Silent).unwrap();
    assert_eq!(table(&output), whole);
}

#[test]
fn tables_of_others_are_left_alone() {
    let place = place();
    let output = place.path("out.db");
    let db = Connection::open(&output).unwrap();
    db.execute_batch("CREATE TABLE Similarities (mine); INSERT INTO Similarities VALUES (1)")
        .unwrap();
    let error = keep(&place, &output, 3, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1, "nothing is added");
    db.execute_batch("DROP TABLE similarities").unwrap();
    keep(&place, &output, 3, &Silent).unwrap();
    db.execute_batch("UPDATE _simdex_related SET collection = 'tils'").unwrap();
    let error = keep(&place, &output, 3, &Silent).unwrap_err();
    assert!(error.to_string().contains("is of collection `tils`, not `posts`"), "{error}");
}

/// Asks for a stop at once.
struct Stop;

impl Observer for Stop {
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_run_that_is_stopped_changes_nothing() {
    let place = place();
    let output = place.path("out.db");
    keep(&place, &output, 3, &Silent).unwrap();
    let before = table(&output);
    let db = Connection::open(place.path("source.db")).unwrap();
    db.execute_batch("DELETE FROM embeddings WHERE id < 'r2'").unwrap();
    assert_eq!(keep(&place, &output, 3, &Stop).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(table(&output), before);
    keep(&place, &output, 3, &Silent).unwrap();
    assert_ne!(table(&output), before);
}
