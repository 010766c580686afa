//! Out into a file and in again: the same rows, bit for bit.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{MODEL, Place, any_rows, insert, into, row, stored, to_file};
use proptest::prelude::*;
use rusqlite::Connection;
use simdex::ErrorKind;
use simdex::observe::Silent;
use simdex_transfer::export;
use simdex_transfer::files::{self, FileFormat};
use simdex_transfer::import::{self, Existing, ImportRequest};
use simdex_transfer::tally::Bad;

fn file_name(format: FileFormat) -> String {
    format!("posts.{format}")
}

fn import_file(
    place: &Place,
    format: FileFormat,
    request: &ImportRequest<'_>,
) -> simdex::Result<import::Imported> {
    let path = place.path(&file_name(format));
    let mut file = files::read(format, &path, &files::beside(&path))?;
    import::import(file.as_mut(), request, &Silent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_come_back_as_they_were(rows in any_rows()) {
        let place = Place::with(&rows);
        for &format in FileFormat::ALL {
            let path = place.path(&file_name(format));
            let carried = export::to_file(&place.walk(), &to_file(format, &path), &Silent).unwrap();
            prop_assert_eq!(carried.rows, rows.len() as u64);
            prop_assert_eq!(carried.skipped, 0);
            let database = place.path(&format!("{format}.db"));
            let imported = import_file(&place, format, &into(&database)).unwrap();
            prop_assert_eq!(imported.rows, rows.len() as u64);
            prop_assert_eq!(stored(&database), stored(&place.path("source.db")), "{}", format);
            // For the next one: they share the file beside them.
            let _ = std::fs::remove_file(files::beside(&path));
        }
    }
}

#[test]
fn parquet_knows_the_model() {
    let place = Place::with(&[row("a", &[1.0, 2.0])]);
    let path = place.path("posts.parquet");
    export::to_file(&place.walk(), &to_file(FileFormat::Parquet, &path), &Silent).unwrap();
    let database = place.path("new.db");
    let request = ImportRequest { model: None, ..into(&database) };
    let imported = import_file(&place, FileFormat::Parquet, &request).unwrap();
    assert_eq!(imported.model, MODEL);
    let npy = place.path("posts.npy");
    export::to_file(&place.walk(), &to_file(FileFormat::Npy, &npy), &Silent).unwrap();
    let other = place.path("other.db");
    let request = ImportRequest { model: None, ..into(&other) };
    let error = import_file(&place, FileFormat::Npy, &request).unwrap_err();
    assert!(error.next_step().unwrap().to_string().contains("--model"), "{error}");
    assert!(!other.exists(), "nothing is left of it");
}

#[test]
fn rows_that_cant_be_carried_are_named() {
    let place = Place::with(&[row("a", &[1.0, 2.0]), row("b", &[0.0, -0.0])]);
    let db = Connection::open(place.path("source.db")).unwrap();
    insert(&db, 1, &row("nan", &[f32::NAN, 1.0]));
    insert(&db, 1, &row("long", &[1.0, 2.0, 3.0]));
    for number in 0..12 {
        db.execute(
            "INSERT INTO embeddings (collection_id, id) VALUES (1, ?)",
            [format!("n{number}")],
        )
        .unwrap();
    }
    db.execute(
        "INSERT INTO embeddings (collection_id, id, embedding) VALUES (1, 'odd', x'010203')",
        [],
    )
    .unwrap();
    db.execute(
        "INSERT INTO embeddings (collection_id, id, embedding) VALUES (1, NULL, x'00000000')",
        [],
    )
    .unwrap();
    for &format in FileFormat::ALL {
        let path = place.path(&file_name(format));
        let mut request = to_file(format, &path);
        request.overwrite = files::Overwrite::Yes;
        let carried = export::to_file(&place.walk(), &request, &Silent).unwrap();
        assert_eq!((carried.rows, carried.skipped), (2, 16), "a vector of zeros is carried");
        let reasons: Vec<_> = carried
            .reasons
            .reasons()
            .map(|(reason, which)| (reason, which.rows, which.ids.join(" ")))
            .collect();
        assert_eq!(
            reasons,
            [
                ("NULL embedding", 12, "n0 n1 n2 n3 n4 n5 n6 n7 n8 n9".to_owned()),
                ("NULL id", 1, "NULL".to_owned()),
                ("NaN or infinite value", 1, "nan".to_owned()),
                ("length not a multiple of 4 bytes", 1, "odd".to_owned()),
                ("other number of dimensions", 1, "long".to_owned()),
            ]
        );
        let before = std::fs::read(&path).unwrap();
        request.bad = Bad::Refuse;
        let error = export::to_file(&place.walk(), &request, &Silent).unwrap_err();
        assert!(error.to_string().contains("can't be carried"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "the file that was there stays");
    }
}

#[test]
fn a_collection_that_is_there_is_replaced_or_added_to_only_on_request() {
    let place = Place::with(&[row("a", &[1.0, 2.0]), row("b", &[3.0, 4.0])]);
    let path = place.path("posts.parquet");
    export::to_file(&place.walk(), &to_file(FileFormat::Parquet, &path), &Silent).unwrap();
    let database = place.path("new.db");
    let import = |existing, model| {
        let request = ImportRequest { existing, model, ..into(&database) };
        import_file(&place, FileFormat::Parquet, &request)
    };
    import(Existing::Refuse, None).unwrap();
    let error = import(Existing::Refuse, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    let db = Connection::open(&database).unwrap();
    db.execute_batch("DELETE FROM embeddings WHERE id = 'a'").unwrap();
    insert(&db, 1, &row("c", &[5.0, 6.0]));
    db.execute_batch("UPDATE embeddings SET embedding = zeroblob(8) WHERE id = 'b'").unwrap();
    let ids = || stored(&database).into_iter().map(|(id, ..)| id).collect::<Vec<_>>();
    let error = import(Existing::Append, Some("another-model")).unwrap_err();
    assert!(error.to_string().contains("another-model"), "{error}");
    import(Existing::Append, None).unwrap();
    assert_eq!(ids(), ["a", "b", "c"]);
    assert_ne!(stored(&database)[1].1, [0; 8], "a row of the file replaces the one that was there");
    import(Existing::Replace, None).unwrap();
    assert_eq!(ids(), ["a", "b"]);

    db.execute_batch("UPDATE embeddings SET embedding = zeroblob(12)").unwrap();
    let error = import(Existing::Append, None).unwrap_err();
    assert!(error.to_string().contains("2 dimensions, those of `posts` have 3"), "{error}");
}

#[test]
fn other_tables_and_collections_are_left_alone() {
    let place = Place::with(&[row("a", &[1.0, 2.0])]);
    let path = place.path("posts.npy");
    export::to_file(&place.walk(), &to_file(FileFormat::Npy, &path), &Silent).unwrap();
    let database = place.path("new.db");
    let db = Connection::open(&database).unwrap();
    db.execute_batch("CREATE TABLE embeddings (id INTEGER, mine TEXT)").unwrap();
    let before = std::fs::read(&database).unwrap();
    let error = import_file(&place, FileFormat::Npy, &into(&database)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
}
