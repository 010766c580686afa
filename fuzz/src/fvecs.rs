//! Files of vectors that somebody else wrote, and the lines beside them.

use std::path::Path;

use simdex_transfer::files::beside;
use simdex_transfer::files::fvecs::Vectors;

/// Sound ones, one cut short, and dimensions that lie.
pub fn seed() {
    let vector = |dim: i32, values: &[f32]| {
        let dim = dim.to_le_bytes().into_iter();
        dim.chain(values.iter().flat_map(|value| value.to_le_bytes())).collect::<Vec<u8>>()
    };
    let two = [vector(2, &[1.0, f32::NAN]), vector(2, &[3.0, -0.0])].concat();
    crate::files::seeds(&[
        two[..20].to_vec(),
        two,
        [vector(1, &[1.0]), vector(3, &[1.0])].concat(),
        vector(i32::MIN, &[1.0]),
        vector(i32::MAX, &[1.0]),
        b"{\"id\": 1, \"content_hash\": \"0g\", \"metadata\": {\"a\": [1e999]}}\n{}\n".to_vec(),
    ]);
}

/// Every vector has the dimension of the first, and there are no more bytes in them than were given.
pub fn run(data: &[u8]) {
    if let Ok(mut vectors) = Vectors::new(data, data.len() as u64) {
        let (dim, mut rows) = (vectors.dim(), 0);
        while let Ok(Some(vector)) = vectors.next_vector() {
            assert_eq!(vector.len(), dim);
            rows += 1;
        }
        assert!(rows <= vectors.rows());
        assert!(vectors.rows() * (4 + 4 * dim as u64) <= data.len() as u64);
    }
    let mut lines = beside::Reader::new(Path::new("x.jsonl"), data);
    while let Ok(Some(_)) = lines.next_line() {}
}
