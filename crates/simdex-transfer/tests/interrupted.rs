//! Whatever stops the work: what was there stays as it was, and nothing half-made is left.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{Place, into, row, stored, to_file};
use simdex::ErrorKind;
use simdex::observe::{Observer, Silent};
use simdex_transfer::files::{self, FileFormat};
use simdex_transfer::import::{Existing, ImportRequest};
use simdex_transfer::{export, import};

/// Asks for a stop at the n-th question.
struct StopAt(AtomicU32);

impl Observer for StopAt {
    fn is_cancelled(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
    }
}

fn rows() -> Vec<simdex::engine::walk::Row> {
    (0..4000_u16).map(|number| row(&format!("row {number}"), &[f32::from(number), 1.0])).collect()
}

#[test]
fn a_file_is_whole_or_not_there() {
    let place = Place::with(&rows());
    for &format in FileFormat::ALL {
        let path = place.path(&format!("posts.{format}"));
        let mut stops = 0;
        loop {
            let observer = StopAt(AtomicU32::new(stops));
            match export::to_file(&place.walk(), &to_file(format, &path), &observer) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}"),
            }
            assert!(place.files().is_empty(), "{:?}", place.files());
            stops += 1;
        }
        assert!(stops > 8, "it asks now and then: {stops}");
        place.files().iter().for_each(|name| std::fs::remove_file(place.path(name)).unwrap());
    }
}

#[test]
fn an_import_is_all_or_nothing() {
    let place = Place::with(&rows());
    let path = place.path("posts.parquet");
    export::to_file(&place.walk(), &to_file(FileFormat::Parquet, &path), &Silent).unwrap();
    let source = place.path("source.db");
    let before = stored(&source);
    let new = place.path("new.db");
    for (database, existing) in [(&source, Existing::Replace), (&new, Existing::Refuse)] {
        let request = ImportRequest { existing, ..into(database) };
        for stops in 0..3 {
            let mut file = files::read(FileFormat::Parquet, &path, &path).unwrap();
            let observer = StopAt(AtomicU32::new(stops));
            let error = import::import(file.as_mut(), &request, &observer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
            assert_eq!(place.files(), ["posts.parquet"]);
        }
    }
    assert_eq!(stored(&source), before);
}

#[test]
fn a_file_that_is_there_is_never_lost() {
    let place = Place::with(&rows());
    for format in [FileFormat::Npy, FileFormat::Fvecs] {
        let path = place.path(&format!("posts.{format}"));
        for taken in [path.clone(), files::beside(&path)] {
            std::fs::write(&taken, "mine").unwrap();
            let request = to_file(format, &path);
            let error = export::to_file(&place.walk(), &request, &Silent).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
            assert_eq!(place.files().len(), 1);
            std::fs::remove_file(taken).unwrap();
        }
    }
}
