//! What there is: collections, indexes, and whether an index is as it should be.

use crate::catalog::generation::Generation;
use crate::catalog::{Catalog, Definition};
use crate::engine::api::*;
use crate::engine::rows::Rows;
use crate::engine::{Engine, index_folder};
use crate::error::{ErrorKind, Result};
use crate::observe::Observer;
use crate::snapshot::census::Census;
use crate::store::blob;
use crate::store::identity::DatabaseIdentity;
use crate::store::source::{Source, llm};
use crate::types::Metric;

impl Engine {
    /// Every collection, by name, with all of its rows looked at: O(bytes of embeddings).
    ///
    /// # Errors
    /// Those of SQLite; `Cancelled`.
    pub fn collections(&self, observer: &dyn Observer) -> Result<Vec<CollectionInfo>> {
        let catalog = self.catalog().map(|(_, loaded)| loaded.catalog).unwrap_or_default();
        let database = self.database()?;
        let read = database.read()?;
        let mut infos = Vec::new();
        for collection in llm::collections(&read)? {
            let Source::Collection { name, model } = collection.source else { continue };
            let rows = Rows::of(llm::of_collection(collection.id), &read);
            let mut census = Census::default();
            rows.each(&name, observer, |_, embedding| {
                match blob::check(embedding, Metric::Cosine) {
                    Ok(bytes) => census.sound(bytes.len() / 4),
                    Err(defect) => census.defect(defect),
                }
                Ok(())
            })?;
            let covering = catalog.definitions().iter().filter(|index| index.covers(&name));
            infos.push(CollectionInfo {
                rows: census.rows(),
                dimensions: census.dimension(),
                skipped: census.skipped(),
                indexes: covering.map(|index| index.name.clone()).collect(),
                default_index: catalog.default_of(&name).map(|index| index.name.clone()),
                name,
                model,
            });
        }
        Ok(infos)
    }

    /// Every index, in the order in which they were defined.
    ///
    /// # Errors
    /// `Damaged` when the definitions can't be read.
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        let (home, loaded) = self.catalog()?;
        let catalog = &loaded.catalog;
        catalog.definitions().iter().map(|index| self.info(index, catalog, &home)).collect()
    }

    /// One index.
    ///
    /// # Errors
    /// `NotFound`; `Damaged` when the definitions can't be read.
    pub fn index(&self, name: &str) -> Result<IndexInfo> {
        let (home, loaded) = self.catalog()?;
        self.info(loaded.catalog.get(name)?, &loaded.catalog, &home)
    }

    fn info(
        &self,
        definition: &Definition,
        catalog: &Catalog,
        home: &crate::catalog::home::Home,
    ) -> Result<IndexInfo> {
        let folder = index_folder(definition, home);
        let state = match Generation::open(definition, &folder, &self.plugins) {
            Ok(None) => IndexState::NotBuilt,
            Ok(Some(generation)) => {
                let now = DatabaseIdentity::of(&self.location.database)?;
                let manifest = &generation.manifest;
                IndexState::Built(BuiltInfo {
                    generation: manifest.generation,
                    rows: generation.rows(),
                    dimensions: generation.base.dim(),
                    skipped: manifest.skipped,
                    tail: generation.delta.tail_rows(),
                    tombstones: generation.delta.gone(),
                    fresh: manifest.seen.is_some() && manifest.seen == now,
                    bytes: generation.bytes(&folder),
                    built_at: manifest.built_at,
                    build_seconds: manifest.build_seconds,
                    facts: generation.index.as_ref().map(|index| index.facts()).unwrap_or_default(),
                })
            }
            Err(error) => IndexState::Damaged { reason: error.to_string() },
        };
        Ok(IndexInfo {
            name: definition.name.clone(),
            kind: definition.kind.clone(),
            metric: definition.metric,
            parameters: definition.parameters.clone(),
            sources: definition.sources.iter().map(source_info).collect(),
            default_for: catalog.default_for(&definition.name),
            state,
            folder: folder.path().to_owned(),
        })
    }

    /// Checks every byte of an index, and compares its rows with the database. O(size).
    ///
    /// # Errors
    /// `NotFound`; those of reading the database; `Cancelled`. Damage is not an error but a problem
    /// in the result.
    pub fn verify(&self, name: &str, observer: &dyn Observer) -> Result<Verification> {
        let (home, loaded) = self.catalog()?;
        let definition = loaded.catalog.get(name)?;
        let folder = index_folder(definition, &home);
        let mut found =
            Verification { index: name.to_owned(), problems: Vec::new(), rows: 0, behind: 0 };
        found.problems.extend(loaded.notice);
        let generation = match Generation::open_checked(definition, &folder, &self.plugins) {
            Ok(Some(generation)) => generation,
            Ok(None) => {
                found.problems.push("it is not built yet".into());
                return Ok(found);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                found.problems.push(error.to_string());
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        found.rows = generation.rows();
        let database = self.database()?;
        let read = database.read()?;
        let rows = Rows::new(&definition.sources, &read)?;
        let (delta, census) = rows.diff(&generation.base, definition.metric, observer)?;
        let Some(delta) = delta else {
            found.behind = census.rows();
            return Ok(found);
        };
        if delta.same_rows(&generation.delta) {
            return Ok(found);
        }
        if generation.manifest.seen.is_some()
            && generation.manifest.seen.as_ref() == read.identity()
        {
            let message =
                "the index takes itself for up to date, but the rows are not the database's";
            found.problems.push(message.into());
        }
        let (was, is) = (&generation.delta, &delta);
        found.behind = was.tail_rows().abs_diff(is.tail_rows()) + was.gone().abs_diff(is.gone());
        found.behind = found.behind.max(1);
        Ok(found)
    }
}

fn source_info(source: &Source) -> SourceInfo {
    match source.clone() {
        Source::Collection { name, model } => {
            SourceInfo { name, store: "collection", model, columns: None, filter: None }
        }
        Source::Table { name, id, embedding, filter } => {
            SourceInfo { name, store: "table", model: None, columns: Some((id, embedding)), filter }
        }
    }
}
