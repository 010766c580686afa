//! Files that are damaged, cut short or made to mislead: a clear error, no panic, nothing stored.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Place, into, row, to_file};
use proptest::prelude::*;
use simdex::observe::Silent;
use simdex_transfer::files::{self, FileFormat, ReadRow};
use simdex_transfer::{export, import};

/// What is said of the file, or how many rows were stored.
fn import(place: &Place, format: FileFormat, path: &Path) -> Result<u64, String> {
    let database = place.path("new.db");
    let _ = std::fs::remove_file(&database);
    let imported = files::read(format, path, &place.path("ids.jsonl"))
        .and_then(|mut file| import::import(file.as_mut(), &into(&database), &Silent));
    if imported.is_err() {
        assert!(!database.exists(), "nothing is left");
    }
    imported.map(|imported| imported.rows).map_err(|error| error.to_string())
}

/// Bytes under a name, with ids for three vectors.
fn said_of(format: FileFormat, bytes: &[u8]) -> Result<u64, String> {
    let place = Place::with(&[]);
    let path = place.path("x");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(place.path("ids.jsonl"), "{\"id\": 1}\n{\"id\": \"b\"}\n{\"id\": \"c\"}\n")
        .unwrap();
    import(&place, format, &path).map_err(|said| said.replace(&*path.to_string_lossy(), "x"))
}

/// Reads all rows of a Parquet file with these bytes; how many are sound, or what is said of it.
fn parquet_rows(bytes: &[u8]) -> Result<u64, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let read = || {
        let mut reader = files::read(FileFormat::Parquet, file.path(), file.path())?;
        let mut rows = 0;
        while let Some(row) = reader.next_row()? {
            rows += u64::from(matches!(row, ReadRow::Sound(_)));
        }
        Ok(rows)
    };
    let said = |error: simdex::Error| error.to_string();
    read().map_err(|error| said(error).replace(&*file.path().to_string_lossy(), "x"))
}

fn parquet(rows: &[simdex::engine::walk::Row]) -> Vec<u8> {
    let place = Place::with(rows);
    let path = place.path("x.parquet");
    export::to_file(&place.walk(), &to_file(FileFormat::Parquet, &path), &Silent).unwrap();
    std::fs::read(path).unwrap()
}

fn fvecs(vectors: &[&[f32]]) -> Vec<u8> {
    let bytes = |vector: &&[f32]| {
        let dim = (vector.len() as i32).to_le_bytes();
        dim.into_iter()
            .chain(vector.iter().flat_map(|value| value.to_le_bytes()))
            .collect::<Vec<_>>()
    };
    vectors.iter().flat_map(bytes).collect()
}

fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn fvecs_that_mislead() {
    let three = fvecs(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]);
    assert_eq!(said_of(FileFormat::Fvecs, &three), Ok(3));
    let refused = |bytes: &[u8]| said_of(FileFormat::Fvecs, bytes).unwrap_err();
    assert_eq!(refused(b""), "x: it is empty");
    assert_eq!(
        refused(&three[..20]),
        "x: its 20 bytes are not whole vectors of 2 dimensions, 12 bytes each: it is cut short or \
         not .fvecs"
    );
    // 2³¹, which is negative as an int32, and the greatest that is not.
    let mut huge = three.clone();
    huge[..4].copy_from_slice(&(1_u32 << 31).to_le_bytes());
    assert_eq!(refused(&huge), "x: a vector of -2147483648 dimensions: it is not .fvecs");
    huge[..4].copy_from_slice(&i32::MAX.to_le_bytes());
    assert!(refused(&huge).contains("are not whole vectors of 2147483647 dimensions"));
    let mixed = fvecs(&[&[1.0, 2.0], &[3.0], &[4.0, 5.0, 6.0]]);
    assert_eq!(refused(&mixed), "x: vector 1 has 1 dimensions, the first has 2");
    let four = fvecs(&[&[1.0], &[1.0], &[1.0], &[1.0]]);
    assert!(refused(&four).ends_with("ids.jsonl: 3 lines for 4 vectors"));
    let two = fvecs(&[&[1.0], &[1.0]]);
    assert!(refused(&two).ends_with("ids.jsonl: more lines than the 2 vectors"));
}

#[test]
fn npy_that_misleads() {
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(said_of(FileFormat::Npy, &npy("(3, 2)", &values)), Ok(3));
    let refused = |bytes: &[u8]| said_of(FileFormat::Npy, bytes).unwrap_err();
    assert_eq!(
        refused(&npy("(4, 2)", &values)),
        "x: it is cut short: 24 bytes of data for 4 rows of 2 values of 4 bytes"
    );
    for shape in ["(4294967296, 4294967296)", "(18446744073709551615, 3)"] {
        let said = refused(&npy(shape, &values));
        assert!(said.contains("cut short") || said.contains("damaged"), "{said}");
    }
    assert_eq!(refused(b"PAR1"), "x: not a .npy file");
}

#[test]
fn rows_with_nan_are_left_out() {
    let nan = [1.0, f32::NAN, 3.0];
    assert_eq!(said_of(FileFormat::Fvecs, &fvecs(&[&nan, &nan, &[1.0, 2.0, 3.0]])), Ok(1));
    let none = said_of(FileFormat::Fvecs, &fvecs(&[&nan, &nan, &nan]));
    assert_eq!(none, Err("the file has no row that could be stored".to_owned()));
}

#[test]
fn the_lines_beside_are_checked() {
    for (lines, said) in [
        ("{\"id\": 1}\nnonsense\n{\"id\": 2}\n", "line 2: expected ident"),
        ("{\"id\": 1, \"content_blob\": \"%\"}\n", "line 1: content_blob: "),
        ("{\"id\": 1, \"content_hash\": \"xyz\"}\n", "line 1: content_hash is not hexadecimal"),
        ("{\"id\": [1]}\n", "line 1: "),
    ] {
        let place = Place::with(&[]);
        let path = place.path("x");
        std::fs::write(&path, fvecs(&[&[1.0], &[2.0], &[3.0]])).unwrap();
        std::fs::write(place.path("ids.jsonl"), lines).unwrap();
        let error = import(&place, FileFormat::Fvecs, &path).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let place = Place::with(&[]);
    let path = place.path("x");
    std::fs::write(&path, fvecs(&[&[1.0], &[2.0], &[3.0], &[4.0]])).unwrap();
    std::fs::write(place.path("ids.jsonl"), "{\"id\": 1}\n{\"id\": \"1\"}\n{}\n{\"id\": null}\n")
        .unwrap();
    assert_eq!(import(&place, FileFormat::Fvecs, &path), Ok(1), "ids that are taken or missing");
}

#[test]
fn parquet_cut_short_anywhere() {
    let whole = parquet(&[row("a", &[1.0, 2.0]), row("b", &[3.0, 4.0])]);
    assert_eq!(parquet_rows(&whole), Ok(2));
    assert!(said_of(FileFormat::Parquet, &whole[..whole.len() - 9]).is_err());
    for length in 0..whole.len() {
        let said = parquet_rows(&whole[..length]).unwrap_err();
        assert!(said.starts_with("x: it "), "{length}: {said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Damage is an error or, where nothing checks the bytes, other values; never a panic.
    #[test]
    fn damaged_parquet(at in any::<prop::sample::Index>(), with in 1_u8..) {
        thread_local! {
            static WHOLE: Vec<u8> = parquet(&[row("a", &[1.0, 2.0]), row("b", &[3.0, 4.0])]);
        }
        let mut bytes = WHOLE.with(Clone::clone);
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        let _ = parquet_rows(&bytes);
    }
}
