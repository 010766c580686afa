//! Where a search looks: which sources, and which index over them, if any.

use crate::catalog::Definition;
use crate::catalog::folder::IndexFolder;
use crate::catalog::home::Home;
use crate::engine::api::{NewSource, Target, Through};
use crate::engine::{Engine, index_folder};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::store::database::ReadTransaction;
use crate::store::source::Source;
use crate::types::Metric;

/// Where a search looks.
#[derive(Debug)]
pub(super) struct Scope {
    /// The sources; keys carry positions in this list.
    pub sources: Vec<Source>,
    /// The one source whose rows may be answers; `None`: all.
    pub only: Option<u32>,
    /// The index to use; `None`: the rows are read from SQLite.
    pub index: Option<(Definition, IndexFolder)>,
    /// The metric of the scores.
    pub metric: Metric,
    /// Why this way, in a few words.
    pub reason: String,
}

impl Scope {
    fn scan(source: Source, reason: &str) -> Self {
        Self {
            sources: vec![source],
            only: None,
            index: None,
            metric: Metric::Cosine,
            reason: reason.into(),
        }
    }

    fn of_index(definition: Definition, home: &Home) -> Self {
        let folder = index_folder(&definition, home);
        Self {
            sources: definition.sources.clone(),
            only: None,
            metric: definition.metric,
            index: Some((definition, folder)),
            reason: "it was named".into(),
        }
    }

    /// The sources that may hold answers, with their numbers.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (u32, &Source)> {
        let all = (0_u32..).zip(&self.sources);
        all.filter(|(number, _)| self.only.is_none_or(|only| only == *number))
    }

    /// What errors call it.
    pub(super) fn describe(&self) -> String {
        let names: Vec<_> =
            self.candidates().map(|(_, source)| format!("`{}`", source.name())).collect();
        names.join(", ")
    }
}

impl Engine {
    /// Decides where to look. Problems with definitions never stop a search of a collection that
    /// names no index: it reads SQLite then, and says so in `notices`.
    pub(super) fn scope(
        &self,
        target: &Target,
        read: &ReadTransaction<'_>,
        notices: &mut Vec<String>,
    ) -> Result<Scope> {
        let (name, through) = match target {
            Target::Index(name) => return self.index_scope(name, notices),
            Target::IndexExact(name) => {
                let scope = self.index_scope(name, notices)?;
                return Ok(Scope { index: None, reason: ASKED_EXACT.into(), ..scope });
            }
            Target::Collection(name, through) => (name, through),
        };
        let source = Source::find(&NewSource::Collection(name.clone()), read)?;
        match through {
            Through::Exact => Ok(Scope::scan(source, ASKED_EXACT)),
            Through::Index(index) => {
                let scope = self.index_scope(index, notices)?;
                match restrict(scope, &source) {
                    Some(scope) => Ok(scope),
                    None => Err(self.does_not_cover(index, &source)),
                }
            }
            Through::Default => match self.default_scope(&source, read, notices) {
                Ok(Some(scope)) => Ok(scope),
                Ok(None) => Ok(Scope::scan(source, "the collection has no default index")),
                Err(error) => {
                    notices.push(format!("searching without an index: {error}"));
                    Ok(Scope::scan(source, "its default index can't be used"))
                }
            },
        }
    }

    fn index_scope(&self, name: &str, notices: &mut Vec<String>) -> Result<Scope> {
        let (home, loaded) = self.catalog()?;
        notices.extend(loaded.notice);
        Ok(Scope::of_index(loaded.catalog.get(name)?.clone(), &home))
    }

    fn default_scope(
        &self,
        source: &Source,
        read: &ReadTransaction<'_>,
        notices: &mut Vec<String>,
    ) -> Result<Option<Scope>> {
        // Read once: this also mends the catalog, so a second look would have no notice to give.
        let (home, loaded) = self.catalog()?;
        notices.extend(loaded.notice);
        let Some(definition) = loaded.catalog.default_of(source.name()) else { return Ok(None) };
        let scope = Scope::of_index(definition.clone(), &home);
        // Each source must still be there, also those that are not asked for.
        scope.sources.iter().try_for_each(|source| source.relation(read).map(drop))?;
        let reason = "it is the default of the collection".into();
        match restrict(scope, source) {
            Some(scope) => Ok(Some(Scope { reason, ..scope })),
            None => Err(self.does_not_cover(&definition.name, source)),
        }
    }

    fn does_not_cover(&self, index: &str, source: &Source) -> Error {
        let message = format!("index `{index}` does not cover collection `{}`", source.name());
        Error::new(ErrorKind::Invalid, message)
            .hint(Hint::command("see what it covers", ["index", "show", index]))
    }
}

const ASKED_EXACT: &str = "an exact scan was asked for";

/// The scope with one of its sources; `None` when it is not among them.
fn restrict(scope: Scope, source: &Source) -> Option<Scope> {
    let number = scope.sources.iter().position(|known| known == source)?;
    let only = (scope.sources.len() > 1).then_some(number as u32);
    Some(Scope { only, ..scope })
}
