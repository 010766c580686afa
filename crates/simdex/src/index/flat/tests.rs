//! `flat` against a naive float64 scan, on every instruction set of this machine.

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::*;
use crate::observe::Silent;
use crate::search::score::exact_score;

/// Every way of opening the same vectors.
fn indexes(values: &[f32], dim: usize, metric: Metric) -> Vec<(String, FlatIndex)> {
    let vectors = Matrix::from_slice(values, dim).unwrap();
    let mut opened = Vec::new();
    for codes in ["never", "always"] {
        let parameters = Parameters::from([(CODES.into(), codes.into())]);
        let sections = Flat.build(&vectors, metric, &parameters, &Silent).unwrap();
        for kernels in Kernels::available() {
            let index = FlatIndex::open(kernels, vectors.clone(), metric, &sections).unwrap();
            opened.push((format!("{} {metric}, codes {codes}", kernels.name()), index));
        }
    }
    opened
}

/// The k closest allowed rows and all that tie with the last, by brute force.
fn naive(values: &[f32], query: &Query, k: usize, allowed: Option<&FixedBitSet>) -> Vec<u32> {
    let mut scored: Vec<(f64, u32)> = (0u32..)
        .zip(values.chunks(query.dim()))
        .filter(|&(row, _)| allowed.is_none_or(|set| set.contains(row as usize)))
        .map(|(row, vector)| (exact_score(query, vector), row))
        .collect();
    let closer = |a: f64, b: f64| query.metric().closer_first(a, b);
    scored.sort_by(|a, b| closer(a.0, b.0).then(a.1.cmp(&b.1)));
    let last = scored.get(k.min(scored.len()).wrapping_sub(1)).map(|&(score, _)| score);
    let within = |score: f64| k > 0 && last.is_some_and(|last| closer(score, last).is_le());
    scored.into_iter().filter(|&(score, _)| within(score)).map(|(_, row)| row).collect()
}

fn assert_holds(name: &str, found: &[u32], want: &[u32], allowed: Option<&FixedBitSet>) {
    assert!(found.is_sorted_by(|a, b| a < b), "{name}: sorted, without repeats");
    for row in want {
        assert!(found.binary_search(row).is_ok(), "{name}: row {row} is missing");
    }
    let is_allowed = |row: &u32| allowed.is_none_or(|set| set.contains(*row as usize));
    assert!(found.iter().all(is_allowed), "{name}: a row that isn't allowed");
}

/// Checks every metric, alone and in a batch, over all rows and over every third.
fn check(values: &[f32], queries: &[Vec<f32>], k: usize) {
    let dim = queries[0].len();
    let n = values.len() / dim;
    let thirds: FixedBitSet = (0..n).filter(|row| row % 3 == 1).collect();
    let mut few = FixedBitSet::with_capacity(n);
    few.extend((0..n).filter(|row| row % 16 == 5));
    for metric in Metric::ALL {
        let usable = |row: &[f32]| metric != Metric::Cosine || row.iter().any(|&x| x != 0.0);
        let values: Vec<f32> =
            values.chunks(dim).filter(|row| usable(row)).flatten().copied().collect();
        let queries: Vec<Query> =
            queries.iter().filter_map(|q| Query::from_f32(q, metric).ok()).collect();
        let indexes = indexes(&values, dim, metric);
        for allowed in [None, Some(&thirds), Some(&few)] {
            let want: Vec<_> = queries.iter().map(|q| naive(&values, q, k, allowed)).collect();
            for (name, index) in &indexes {
                for (query, want) in queries.iter().zip(&want) {
                    let found = index.candidates(query, k, allowed, &Silent).unwrap();
                    assert_holds(name, &found, want, allowed);
                }
                let batch = index.candidates_batch(&queries, k, allowed, &Silent).unwrap();
                for (found, want) in batch.iter().zip(&want) {
                    assert_holds(&format!("{name} batch"), found, want, allowed);
                }
            }
        }
    }
}

/// Numbers of a normal distribution, near enough.
pub(super) fn normal(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| (0..6).map(|_| uniform()).sum::<f32>() * 0.7).collect()
}

#[test]
fn sizes_and_dimensions() {
    for dim in [1, 3, 17, 384, 4096] {
        for n in [0, 1, 2, 40, if dim <= 384 { 300 } else { 60 }] {
            for k in [0, 1, 10, 1000] {
                let queries: Vec<_> = (0..5).map(|seed| normal(dim, 100 + seed)).collect();
                check(&normal(n * dim, 7), &queries, k);
            }
        }
    }
}

#[test]
fn sizes_of_values() {
    for scale in [1e-44f32, 1e-38, 1e-22, 1e-10, 1e15, 1e19, 1e37] {
        for other in [scale, 1.0] {
            let scaled = |values: Vec<f32>, by: f32| values.iter().map(|x| x * by).collect();
            let rows: Vec<f32> = scaled(normal(24 * 200, 3), scale);
            let queries: Vec<Vec<f32>> =
                (0..4).map(|seed| scaled(normal(24, 50 + seed), other)).collect();
            check(&rows, &queries, 7);
        }
    }
}

#[test]
fn one_row_of_another_size() {
    for odd in [0.0, 1e-40, 1e-20, 1e20, 3e38] {
        let mut rows = normal(17 * 120, 3);
        rows[17 * 60..17 * 61].iter_mut().for_each(|x| *x = x.signum() * odd);
        let queries: Vec<_> = (0..4).map(|seed| normal(17, 50 + seed)).collect();
        check(&rows, &queries, 3);
    }
}

#[test]
fn duplicates_and_ties() {
    let dim = 33;
    let base = normal(dim * 5, 1);
    let rows: Vec<f32> = (0..400).flat_map(|i| base[i % 5 * dim..][..dim].to_vec()).collect();
    let queries: Vec<_> = (0..3).map(|seed| normal(dim, 9 + seed)).collect();
    check(&rows, &queries, 10);
    check(&rows, &[rows[..dim].to_vec()], 100);
    check(&vec![0.25; dim * 70], &queries, 5);
}

#[test]
fn few_rows_are_returned_where_scores_differ() {
    let (dim, k) = (96, 10);
    let rows = normal(dim * 3000, 5);
    for metric in Metric::ALL {
        let query = Query::from_f32(&normal(dim, 77), metric).unwrap();
        for (name, index) in indexes(&rows, dim, metric) {
            let found = index.candidates(&query, k, None, &Silent).unwrap();
            assert!(found.len() < k + 5, "{name}: {} candidates", found.len());
        }
    }
}

#[test]
fn threads_agree_with_one_thread() {
    let dim = 64;
    let rows = normal(dim * 20_000, 5);
    let queries: Vec<_> = (0..9).map(|seed| normal(dim, 70 + seed)).collect();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| check(&rows, &queries, 25));
    }
}

#[test]
fn foreign_sections_and_queries_are_refused() {
    let vectors = Matrix::from_slice(&normal(40, 1), 4).unwrap();
    let mut sections = Flat.build(&vectors, Metric::Cosine, &Parameters::new(), &Silent).unwrap();
    let open = |metric, sections: &Sections| {
        Flat.open(vectors.clone(), metric, &Parameters::new(), sections).map(|_| ())
    };
    assert!(open(Metric::Cosine, &sections).is_ok());
    assert_eq!(open(Metric::L2, &sections).unwrap_err().kind(), ErrorKind::Damaged);
    for bytes in [0, 3, 36, 44] {
        sections.insert(NORMS.into(), Slab::from_slice(&vec![0u8; bytes]));
        assert_eq!(open(Metric::Cosine, &sections).unwrap_err().kind(), ErrorKind::Damaged);
    }
    let (_, index) = &indexes(vectors.values(), 4, Metric::Cosine)[0];
    for query in [
        Query::from_f32(&[1.0; 5], Metric::Cosine).unwrap(),
        Query::from_f32(&[1.0; 4], Metric::Dot).unwrap(),
    ] {
        let error = index.candidates(&query, 1, None, &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_caller_can_stop_the_scan() {
    struct Impatient;
    impl Observer for Impatient {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let query = Query::from_f32(&[1.0; 8], Metric::L2).unwrap();
    let (_, index) = indexes(&normal(8 * 100, 1), 8, Metric::L2).swap_remove(0);
    let error = index.candidates(&query, 1, None, &Impatient).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

/// A float32 drawn from a few values, so that ties are common, or from all finite bit patterns.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, -1e-40, 1e-20, 1e20, 1e38]),
        1 => any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |x| x.is_finite()),
        4 => -1.0f32..1.0,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_vectors(
        (rows, queries) in (1usize..20, 0usize..60).prop_flat_map(|(dim, n)| (
            prop::collection::vec(value(), dim * n),
            prop::collection::vec(prop::collection::vec(value(), dim), 1..6),
        )),
        k in 1usize..12,
    ) {
        check(&rows, &queries, k);
    }
}

/// Whatever bytes a hostile file holds, a search ends without a panic, with rows that exist.
#[test]
fn hostile_codes_do_no_harm() {
    let (dim, n) = (19, 200);
    let vectors = Matrix::from_slice(&normal(dim * n, 1), dim).unwrap();
    let always = Parameters::from([(CODES.into(), "always".into())]);
    for metric in Metric::ALL {
        let honest = Flat.build(&vectors, metric, &always, &Silent).unwrap();
        let queries: Vec<_> =
            (0..6).map(|seed| Query::from_f32(&normal(dim, seed), metric).unwrap()).collect();
        for (name, section) in &honest {
            for fill in [0x00u8, 0x7F, 0x80, 0xFF] {
                let mut sections = honest.clone();
                sections.insert(name.clone(), Slab::from_slice(&vec![fill; section.len()]));
                for kernels in Kernels::available() {
                    let opened = FlatIndex::open(kernels, vectors.clone(), metric, &sections);
                    let found = opened.unwrap().candidates_batch(&queries, 5, None, &Silent);
                    assert!(found.unwrap().iter().flatten().all(|&row| (row as usize) < n));
                }
            }
            let mut short = honest.clone();
            short.insert(name.clone(), Slab::from_slice(&section[..section.len() - 4]));
            assert!(FlatIndex::open(Kernels::detect(), vectors.clone(), metric, &short).is_err());
            short.remove(name);
            assert!(FlatIndex::open(Kernels::detect(), vectors.clone(), metric, &short).is_err());
        }
    }
}
