//! The facade every front end calls: open · define · build · refresh · search · compare · verify.

pub mod api;
mod build;
mod compare;
mod inspect;
pub mod live;
pub mod related;
mod rows;
mod scope;
mod search;
mod tidy;
pub mod walk;

use std::sync::Arc;
use std::time::SystemTime;

use api::*;
use tidy::Remains;

use crate::catalog::files::Wait;
use crate::catalog::folder::IndexFolder;
use crate::catalog::home::Home;
use crate::catalog::{Catalog, Definition, Loaded};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::index::AnyKind;
use crate::index::plugin::Plugins;
use crate::observe::Observer;
use crate::store::connection::Connect;
use crate::store::database::{Clock, Database};
use crate::store::native::Native;
use crate::store::source::Source;

/// The kind used when none is asked for.
const DEFAULT_KIND: &str = "auto";

/// One database and its indexes. Holds nothing open between calls but processes of plugins, which end
/// with it.
#[derive(Debug)]
pub struct Engine {
    location: Location,
    connect: Arc<dyn Connect>,
    clock: Clock,
    plugins: Plugins,
}

impl Engine {
    /// Checks that there is a file; creates nothing.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, `Invalid` when it is a folder.
    pub fn open(location: Location) -> Result<Self> {
        Self::over(location, Arc::new(Native))
    }

    /// The same, reading rows through another copy of SQLite than ours (see [`Connect`]).
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn over(mut location: Location, connect: Arc<dyn Connect>) -> Result<Self> {
        location.database = Database::locate(&location.database)?;
        let plugins = Plugins::from_environment();
        Ok(Self { location, connect, clock: SystemTime::now, plugins })
    }

    /// The same with another clock, for tests: files count as settled by what it says.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same with these plugins instead of those that the environment names.
    #[must_use]
    pub fn with_plugins(self, plugins: Plugins) -> Self {
        Self { plugins, ..self }
    }

    /// Its plugins.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Where the database is, symbolic links resolved.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Defines an index. Nothing is built yet.
    ///
    /// # Errors
    /// `NotFound` for unknown sources, `AlreadyExists`, `Invalid` for kinds, parameters and sources
    /// that don't go together, `ReadOnly` when no folder can be written.
    pub fn define(&self, new: NewIndex) -> Result<IndexInfo> {
        let definition = self.definition(&new)?;
        let mut home = self.home()?;
        Catalog::edit(&mut home, |catalog| {
            catalog.add(definition.clone())?;
            for collection in definition.collections() {
                let has_one = catalog.default_of(collection).is_some();
                match new.default {
                    MakeDefault::Yes => catalog.set_default(collection, &definition.name)?,
                    MakeDefault::IfNone if !has_one => {
                        catalog.set_default(collection, &definition.name)?;
                    }
                    MakeDefault::IfNone | MakeDefault::No => {}
                }
            }
            Ok(())
        })?;
        self.index(&definition.name)
    }

    fn definition(&self, new: &NewIndex) -> Result<Definition> {
        check_name(&new.name)?;
        let kind = new.kind.as_deref().unwrap_or(DEFAULT_KIND);
        let kind = AnyKind::named(kind, &self.plugins)?;
        let database = self.database()?;
        let read = database.read()?;
        let mut sources = Vec::new();
        for source in &new.sources {
            let source = Source::find(source, &read)?;
            if sources.contains(&source) {
                let message = format!("`{}` is named twice", source.name());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            sources.push(source);
        }
        let Some(first) = sources.first() else {
            return Err(Error::new(ErrorKind::Invalid, "an index needs a source")
                .hint("name a collection with -c, or a table with --table"));
        };
        let metric = new.metric.unwrap_or(first.default_metric());
        kind.check(metric, &new.parameters)?;
        if new.models == ModelRule::Same {
            check_models(&sources)?;
        }
        let kind = kind.name().to_owned();
        Definition::new(new.name.clone(), sources, kind, metric, new.parameters.clone())
    }

    /// Builds an index anew. What was built before serves searches until then, and stays if this
    /// fails.
    ///
    /// # Errors
    /// `NotFound`; those of reading the sources and writing the index; `Cancelled`.
    pub fn build(&self, name: &str, observer: &dyn Observer) -> Result<Report> {
        let (home, loaded) = self.catalog()?;
        let definition = loaded.catalog.get(name)?;
        let folder = index_folder(definition, &home);
        let database = self.database()?;
        let plugins = &self.plugins;
        let report = build::build(&database, definition, &folder, plugins, Wait::Yes, observer);
        let mut report = report.map_err(|error| error.with("index", name))?;
        report.notices.extend(loaded.notice);
        Ok(report)
    }

    /// Brings an index up to date with its sources.
    ///
    /// # Errors
    /// As [`Engine::build`].
    pub fn refresh(&self, name: &str, observer: &dyn Observer) -> Result<Report> {
        let (home, loaded) = self.catalog()?;
        let definition = loaded.catalog.get(name)?;
        let folder = index_folder(definition, &home);
        let database = self.database()?;
        let report = build::refresh(&database, definition, &folder, &self.plugins, observer);
        let mut report = report.map_err(|error| error.with("index", name))?;
        report.notices.extend(loaded.notice);
        Ok(report)
    }

    /// Removes an index: its definition and its files, and what its kind keeps elsewhere. Returns
    /// what the user should know.
    ///
    /// # Errors
    /// `NotFound`; `ReadOnly` or `Io`.
    pub fn drop_index(&self, name: &str) -> Result<Vec<String>> {
        let (home, loaded) = self.catalog()?;
        let definition = loaded.catalog.get(name)?.clone();
        // An index of an unknown kind can be removed, too.
        let kind = AnyKind::named(&definition.kind, &self.plugins).ok();
        let folder = index_folder(&definition, &home);
        let remains = kind.as_ref().map(|kind| Remains::of(kind, &folder));
        Catalog::edit(&mut self.home()?, |catalog| catalog.remove(name))?;
        let Some(kind) = kind else { return Ok(Vec::new()) };
        let parameters = &definition.parameters;
        let mut notices: Vec<_> = kind.forget(definition.id(), parameters)?.into_iter().collect();
        notices.extend(remains.and_then(|remains| remains.release(&kind, parameters)));
        Ok(notices)
    }

    /// Makes `index` the default of `collections` (all that it covers when empty); returns them.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when it does not cover one of them.
    pub fn set_default(&self, index: &str, collections: &[String]) -> Result<Vec<String>> {
        let (_, loaded) = self.catalog()?;
        let definition = loaded.catalog.get(index)?;
        let collections = match collections {
            [] => definition.collections().map(str::to_owned).collect(),
            named => named.to_vec(),
        };
        if collections.is_empty() {
            let message = format!("index `{index}` covers no collection, only tables");
            return Err(Error::new(ErrorKind::Invalid, message)
                .hint(Hint::command("search it by name", ["search", index, "ID"])));
        }
        Catalog::edit(&mut self.home()?, |catalog| {
            collections.iter().try_for_each(|name| catalog.set_default(name, index))
        })?;
        Ok(collections)
    }

    /// The default index of `collection`, if it has one. Reads the definitions only, not the database.
    ///
    /// # Errors
    /// `Damaged` when the definitions can't be read.
    pub fn default_of(&self, collection: &str) -> Result<Option<String>> {
        let (_, loaded) = self.catalog()?;
        Ok(loaded.catalog.default_of(collection).map(|index| index.name.clone()))
    }

    /// Leaves `collection` without a default; returns the index that was.
    ///
    /// # Errors
    /// `ReadOnly` or `Io`.
    pub fn clear_default(&self, collection: &str) -> Result<Option<String>> {
        if self.catalog()?.1.catalog.default_of(collection).is_none() {
            return Ok(None);
        }
        Catalog::edit(&mut self.home()?, |catalog| Ok(catalog.clear_default(collection)))
    }

    fn database(&self) -> Result<Database> {
        Database::open(&self.location.database, self.connect.as_ref(), self.clock)
    }

    fn home(&self) -> Result<Home> {
        Home::locate(&self.location.database, self.location.index_dir.as_deref())
    }

    /// The catalog. One that came from its backup is written anew where that is possible.
    fn catalog(&self) -> Result<(Home, Loaded)> {
        let mut home = self.home()?;
        let loaded = Catalog::load(&home)?;
        if loaded.notice.is_some() {
            let _ = Catalog::edit(&mut home, |_| Ok(()));
        }
        Ok((home, loaded))
    }
}

fn index_folder(definition: &Definition, home: &Home) -> IndexFolder {
    IndexFolder::new(Catalog::folder(definition, home), home.permissions().clone())
}

fn check_name(name: &str) -> Result<()> {
    let bad = name.is_empty() || name.len() > 200 || name.chars().any(char::is_control);
    if bad || name.starts_with('-') {
        let message = format!("{name:?} can't be the name of an index");
        return Err(Error::new(ErrorKind::Invalid, message)
            .hint("use up to 200 printable characters that don't begin with -"));
    }
    Ok(())
}

fn check_models(sources: &[Source]) -> Result<()> {
    let models: Vec<_> = sources
        .iter()
        .filter_map(|source| match source {
            Source::Collection { name, model } => Some((name, model)),
            Source::Table { .. } => None,
        })
        .collect();
    let Some((first, rest)) = models.split_first() else { return Ok(()) };
    let Some(other) = rest.iter().find(|other| other.1 != first.1) else { return Ok(()) };
    let shown = |(name, model): &(&String, &Option<String>)| {
        format!("`{name}` has {}", model.as_deref().unwrap_or("no model"))
    };
    let message = "collections of different models can't share an index";
    Err(Error::new(ErrorKind::Invalid, message)
        .with("models", format!("{}, {}", shown(first), shown(other)))
        .hint("if both names stand for one model, say so with --allow-models"))
}
