//! Blobs of a database that somebody else wrote.

use rusqlite::types::ValueRef;
use simdex::Metric;
use simdex::search::query::Query;
use simdex::search::score::exact_score;
use simdex::store::blob;

/// A sound blob and one of each defect.
pub fn seed() {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    crate::files::seeds(&[
        bytes(&[1.0, -2.5, 3e-39]),
        bytes(&[0.0, -0.0]),
        bytes(&[f32::NAN, f32::INFINITY, f32::MAX]),
        vec![1, 2, 3],
    ]);
}

/// What passes the check has whole, finite values, and can be compared with itself.
pub fn run(data: &[u8]) {
    let values = blob::decode(data);
    for metric in Metric::ALL {
        let Ok(sound) = blob::check(ValueRef::Blob(data), metric) else { continue };
        assert_eq!(sound, data);
        assert_eq!(values.len() * 4, data.len());
        assert!(values.iter().all(|value| value.is_finite()));
        let query = Query::from_f32(&values, metric).expect("sound values make a query");
        assert!(!exact_score(&query, &values).is_nan());
    }
    for value in [ValueRef::Text(data), ValueRef::Null, ValueRef::Integer(1), ValueRef::Real(1.0)] {
        assert!(blob::check(value, Metric::Cosine).is_err());
    }
}
