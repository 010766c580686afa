//! What travels: records there, queries there, hits back.

use serde_json::Value;

/// Facts about a record, by name. pgvector takes any JSON; Chroma only numbers, texts and truth
/// values, so that other values are stored there as JSON text, and `null` not at all.
pub type Metadata = serde_json::Map<String, Value>;

/// How closeness is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// By the angle.
    Cosine,
    /// By the Euclidean distance.
    L2,
    /// By the inner product: larger is closer.
    InnerProduct,
}

impl Space {
    /// Its name in collections' labels, and Chroma's own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
            Self::InnerProduct => "ip",
        }
    }

    /// The space of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Cosine, Self::L2, Self::InnerProduct].into_iter().find(|space| space.name() == name)
    }
}

/// Parameters of the HNSW graph that the server builds (Malkov & Yashunin 2016); `None`: the
/// server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Graph {
    /// Neighbours of a node.
    pub neighbors: Option<u32>,
    /// Width of the search for neighbours while building.
    pub build_width: Option<u32>,
    /// Width of searches.
    pub search_width: Option<u32>,
}

/// A collection to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Dimensions of its vectors.
    pub dimensions: usize,
    /// Its measure.
    pub space: Space,
    /// Its graph.
    pub graph: Graph,
    /// What is noted of it, if it is made.
    pub labels: crate::Labels,
}

impl Spec {
    /// A collection with the server's defaults.
    pub fn new(name: impl Into<String>, dimensions: usize, space: Space) -> Self {
        let (graph, labels) = Default::default();
        Self { name: name.into(), dimensions, space, graph, labels }
    }
}

/// A vector under an id, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Its id, unique in the collection.
    pub id: String,
    /// Its vector.
    pub vector: Vec<f32>,
    /// The text that was embedded.
    pub document: Option<String>,
    /// Facts about it.
    pub metadata: Option<Metadata>,
}

impl Record {
    /// A vector under an id.
    pub fn new(id: impl Into<String>, vector: Vec<f32>) -> Self {
        Self { id: id.into(), vector, ..Self::default() }
    }

    /// The same with a text.
    #[must_use]
    pub fn with_document(self, document: impl Into<String>) -> Self {
        Self { document: Some(document.into()), ..self }
    }

    /// The same with facts.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata: Some(metadata), ..self }
    }
}

/// How far a vector may be from itself after rounding to single precision, relative to its length.
const SAME_VECTOR: f64 = 1e-6;

/// The same for a number in metadata, after being written as decimal digits and read.
const SAME_NUMBER: f64 = 1e-14;

impl Record {
    /// Whether both are the same but for rounding. No metadata is the same as none of its facts.
    pub(crate) fn is_nearly(&self, other: &Self) -> bool {
        let (Self { id, vector, document, metadata }, none) = (self, Metadata::new());
        let facts = |metadata: &Option<Metadata>| metadata.as_ref().unwrap_or(&none).clone();
        *id == other.id
            && *document == other.document
            && same_vector(vector, &other.vector)
            && same_facts(&facts(metadata), &facts(&other.metadata))
    }
}

fn same_vector(a: &[f32], b: &[f32]) -> bool {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let difference = squares(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let length = squares(&mut b.iter().map(|b| f64::from(*b)));
    a.len() == b.len() && difference.sqrt() <= SAME_VECTOR * length.sqrt()
}

fn same_facts(a: &Metadata, b: &Metadata) -> bool {
    let same = |(name, value): (&String, &Value)| b.get(name).is_some_and(|b| same_value(value, b));
    a.len() == b.len() && a.iter().all(same)
}

/// Servers write 1e3 as 1000, and give 1000.0 or 1000 back.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            _ if a == b => true,
            // Whole numbers are the same or not.
            _ if !a.is_f64() && !b.is_f64() => false,
            (Some(a), Some(b)) => (a - b).abs() <= SAME_NUMBER * a.abs().max(b.abs()),
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => same_facts(a, b),
        _ => a == b,
    }
}

/// Which records may be found.
#[derive(Debug, Clone, Copy)]
pub enum Only<'a> {
    /// All.
    All,
    /// Those with one of these ids.
    Ids(&'a [String]),
    /// Those whose metadata has all of these values, which are numbers, texts or truth values.
    Matching(&'a Metadata),
}

/// A search.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What is compared with the records.
    pub vectors: &'a [Vec<f32>],
    /// How many are wanted for each.
    pub k: usize,
    /// Which may be found.
    pub only: Only<'a>,
}

impl<'a> Query<'a> {
    /// The `k` closest of all, for each vector.
    pub fn new(vectors: &'a [Vec<f32>], k: usize) -> Self {
        Self { vectors, k, only: Only::All }
    }

    /// The same among some.
    #[must_use]
    pub fn among(self, only: Only<'a>) -> Self {
        Self { only, ..self }
    }
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// The server's own measure: smaller is closer. Servers differ in what it is.
    pub distance: f64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(vector: &[f32], metadata: Value) -> Record {
        let record = Record::new("a", vector.to_vec()).with_document("text");
        record.with_metadata(metadata.as_object().unwrap().clone())
    }

    #[test]
    fn rounding_makes_no_difference_and_all_else_does() {
        let one = record(&[1.0, 2.0], json!({"n": 1000, "x": [0.1, {"y": null}], "t": "1"}));
        let rounded = json!({"t": "1", "n": 1e3, "x": [0.100_000_000_000_000_02, {"y": null}]});
        assert!(one.is_nearly(&record(&[1.0, 2.000_000_2], rounded)));
        for other in [
            Record { id: "b".into(), ..one.clone() },
            Record { document: None, ..one.clone() },
            Record { metadata: None, ..one.clone() },
            Record { vector: vec![1.0, 2.000_01], ..one.clone() },
            Record { vector: vec![1.0], ..one.clone() },
            record(&[1.0, 2.0], json!({"n": 1001, "x": [0.1, {"y": null}], "t": "1"})),
            record(&[1.0, 2.0], json!({"n": 1000, "x": [0.1, {"y": null}], "t": 1})),
            record(&[1.0, 2.0], json!({"n": 1000, "x": [0.1], "t": "1"})),
            record(&[1.0, 2.0], json!({"n": 1000, "x": [0.1, {"y": null}], "t": "1", "u": 1})),
        ] {
            assert!(!one.is_nearly(&other) && !other.is_nearly(&one), "{other:?}");
        }
        let empty = Record { metadata: Some(Metadata::new()), ..one.clone() };
        assert!(empty.is_nearly(&Record { metadata: None, ..one }));
        let big = |n: u64| record(&[0.0], json!({ "n": n }));
        assert!(!big(u64::MAX).is_nearly(&big(u64::MAX - 1)), "whole numbers are not rounded");
        assert!(record(&[0.0], json!({})).is_nearly(&record(&[-0.0], json!({}))));
    }
}
