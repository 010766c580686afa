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
