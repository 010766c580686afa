//! Searches in rows that may be nonsense.

use simdex::Metric;
use simdex::index::{self, Index};
use simdex::observe::Silent;
use simdex::search::filter::KeyFilter;
use simdex::search::merge::Layers;
use simdex::search::query::Query;
use simdex::search::topk::TopK;
use simdex::snapshot::Snapshot;
use simdex::snapshot::diff::Delta;

/// Asks for a few rows, for all, and for those of one source; rows that come back exist.
pub(crate) fn search(base: &Snapshot, index: Option<&dyn Index>, delta: &Delta, metric: Metric) {
    let Some(vectors) = base.vectors().filter(|vectors| vectors.dim() < 4096) else { return };
    let query: Vec<f64> = (0..vectors.dim()).map(|i| (i as f64 + 0.5).sin()).collect();
    let query = Query::new(&query, metric).expect("a finite query");
    let rows = base.rows() as u64 + delta.tail_rows();
    let tail = delta.tail.as_ref().and_then(|tail| tail.vectors()).map(|vectors| {
        let none = index::Parameters::new();
        let flat = index::kind("flat").expect("it is built in");
        let sections = flat.build(vectors, metric, &none, &Silent).expect("finite rows");
        flat.open(vectors.clone(), metric, &none, &sections).expect("as built")
    });
    for (k, source) in [(2, None), (usize::MAX, None), (3, Some(0))] {
        let filter = KeyFilter { source, ..KeyFilter::default() };
        let mut top = TopK::new(metric, k, &["a", "b"]);
        let layers = Layers { base, index, delta, tail: tail.as_deref() };
        if layers.search(&query, k, &filter, &mut top, &Silent).is_ok() {
            assert!(top.finish().len() as u64 <= rows);
        }
    }
}

/// Every kind and metric over the rows of one snapshot.
pub(crate) fn every_way(base: &Snapshot, sections: &index::Sections) {
    let Some(vectors) = base.vectors() else { return };
    for kind in index::KINDS {
        for metric in Metric::ALL {
            let opened = kind.open(vectors.clone(), metric, &index::Parameters::new(), sections);
            if let Ok(index) = opened {
                search(base, Some(&*index), &Delta::none(base.rows()), metric);
            }
        }
    }
}
