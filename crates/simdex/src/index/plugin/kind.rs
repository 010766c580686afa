//! A plugin as a kind of index.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use simdex_plugin::{BuildParams, Call, Description};

use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::call::Session;
use crate::index::plugin::files::{self, PluginFile, Read};
use crate::index::plugin::numbers::Numbers;
use crate::index::plugin::opened::PluginIndex;
use crate::index::plugin::registry::{Plugins, unknown};
use crate::index::plugin::release;
use crate::index::plugin::scratch::Spool;
use crate::index::plugin::update;
use crate::index::{Gone, Index, Job, Kind, Parameter, Parameters, Previous, Released, Sections};
use crate::matrix::{Matrix, Slab};
use crate::observe::{Observer, Silent};
use crate::types::Metric;

/// The section that says what was built.
const RECORD: &str = "plugin";

/// The section with the number of each row, once changes have been taken in.
pub(super) const NUMBERS: &str = "numbers";

/// How many facts of a plugin are kept, and how much of each.
const MOST_FACTS: usize = 32;
const LONGEST_FACT: usize = 200;

/// What a plugin built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The plugin's version.
    pub(super) version: String,
    /// The files it keeps; `None`: it keeps none, and builds anew in each process.
    pub(super) files: Option<Vec<PluginFile>>,
    /// What it told of itself after the build.
    pub(super) facts: BTreeMap<String, String>,
    /// All row numbers are below this; `None`: they are the positions of the rows.
    pub(super) bound: Option<u64>,
    /// Whether the plugin keeps something elsewhere, to be dropped with the build.
    #[serde(default)]
    pub(super) drops: bool,
}

impl Record {
    /// Reads it.
    ///
    /// # Errors
    /// `Damaged`.
    pub(super) fn read(sections: &Sections) -> Result<Self> {
        let damaged = |message: &str| Error::new(ErrorKind::Damaged, message);
        let bytes = sections.get(RECORD).ok_or_else(|| damaged("no record of the plugin"))?;
        serde_json::from_slice(bytes)
            .map_err(|error| damaged("the record of the plugin makes no sense").source(error))
    }

    /// The numbers of its rows.
    ///
    /// # Errors
    /// `Damaged`.
    pub(super) fn numbers(&self, sections: &Sections, rows: usize) -> Result<Numbers> {
        match (self.bound, sections.get(NUMBERS)) {
            (None, None) => Ok(Numbers::positions(rows)),
            (Some(bound), Some(section)) => {
                Numbers::read(section, rows, usize::try_from(bound).unwrap_or(usize::MAX))
            }
            _ => {
                let message = "the plugin's row numbers and its record don't belong together";
                Err(Error::new(ErrorKind::Damaged, message))
            }
        }
    }

    /// As a section.
    ///
    /// # Errors
    /// None that can be caused.
    pub(super) fn section(&self) -> Result<(String, Slab<u8>)> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "a record has no JSON form").source(error)
        })?;
        Ok((RECORD.to_owned(), Slab::from_slice(&bytes)))
    }
}

/// A plugin, which need not be installed.
#[derive(Debug, Clone)]
pub struct Plugin {
    name: String,
    plugins: Plugins,
}

impl Plugin {
    pub(super) fn new(name: &str, plugins: Plugins) -> Self {
        Self { name: name.to_owned(), plugins }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where plugins are looked for.
    pub(super) fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Starts it and asks what it can do.
    ///
    /// # Errors
    /// `Plugin` when it is not installed or misbehaves; `Cancelled`.
    pub fn describe(&self, observer: &dyn Observer) -> Result<Description> {
        Ok(self.start(observer)?.description().clone())
    }

    pub(super) fn start(&self, observer: &dyn Observer) -> Result<Session> {
        Session::start(&self.name, &self.plugins, observer)
    }

    fn built(
        &self,
        job: &Job<'_>,
        session: &mut Session,
        observer: &dyn Observer,
    ) -> Result<Record> {
        let description = session.description().clone();
        check_metric(&description, job.metric)?;
        let folder = job.folder.filter(|_| description.persistent);
        let spool = Spool::of(job.vectors)?;
        let build = build_call(&spool, job.metric, job.parameters, folder);
        session.call::<Value>(build, observer)?;
        Self::recorded(session, folder, None, observer)
    }

    /// What a plugin that is ready to search has made.
    pub(super) fn recorded(
        session: &mut Session,
        folder: Option<&Path>,
        bound: Option<u64>,
        observer: &dyn Observer,
    ) -> Result<Record> {
        let facts = session.call::<BTreeMap<String, Value>>(Call::stats(), observer)?;
        let files = folder.map(files::record).transpose()?;
        let description = session.description();
        let (version, drops) = (description.version.clone(), description.drops);
        Ok(Record { version, files, facts: readable(facts), bound, drops })
    }
}

impl Kind for Plugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        "a plugin"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn check(&self, metric: Metric, set: &Parameters) -> Result<()> {
        if let Err(error) = self.plugins.find(&self.name) {
            let installed = self.plugins.installed()?;
            // One that is there by name has a reason of its own.
            return match installed.iter().any(|known| known.name == self.name) {
                true => Err(error),
                false => Err(unknown(&self.name, &installed)),
            };
        }
        let description = self.describe(&Silent)?;
        check_metric(&description, metric)?;
        check_options(&description, set)
    }

    /// Every option that only searches read, alone; none where the plugin can't be asked.
    fn sweep(&self) -> Vec<Parameters> {
        let mut sets = vec![Parameters::new()];
        if let Ok(description) = self.describe(&Silent) {
            for option in &description.options {
                let values = option.sweep.iter().filter(|value| option.check(value).is_ok());
                let set = |value: &String| Parameters::from([(option.name.clone(), value.clone())]);
                sets.extend(values.map(set));
            }
        }
        sets
    }

    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        parameters: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections> {
        self.build_in(&Job { vectors, metric, parameters, folder: None, name: None }, observer)
    }

    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>> {
        self.open_in(
            &Job { vectors: &vectors, metric, parameters, folder: None, name: None },
            sections,
        )
    }

    fn build_in(&self, job: &Job<'_>, observer: &dyn Observer) -> Result<Sections> {
        let mut session = self.start(observer)?;
        let record = self.built(job, &mut session, observer)?;
        Ok(Sections::from([record.section()?]))
    }

    fn updates(&self) -> bool {
        true
    }

    fn update_in(
        &self,
        job: &Job<'_>,
        previous: &Previous<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Sections>> {
        update::update(self, job, previous, observer)
    }

    fn keeps_elsewhere(&self, made: Option<&Sections>) -> bool {
        made.is_none_or(|sections| Record::read(sections).map_or(true, |record| record.drops))
    }

    fn release(&self, gone: &Gone<'_>, observer: &dyn Observer) -> Released {
        release::release(self, gone, observer)
    }

    fn open_in(&self, job: &Job<'_>, sections: &Sections) -> Result<Box<dyn Index>> {
        let record = Record::read(sections)?;
        let numbers = record.numbers(sections, job.vectors.rows())?;
        if let (Some(files), Some(folder)) = (&record.files, job.folder) {
            files::check(folder, files, Read::Touched)?;
        }
        Ok(Box::new(PluginIndex::new(self.clone(), job, record, numbers)))
    }

    fn verify_in(&self, job: &Job<'_>, sections: &Sections) -> Result<()> {
        match (Record::read(sections)?.files, job.folder) {
            (Some(files), Some(folder)) => files::check(folder, &files, Read::All),
            _ => Ok(()),
        }
    }
}

/// The request that builds.
pub(super) fn build_call(
    spool: &Spool,
    metric: Metric,
    parameters: &Parameters,
    folder: Option<&Path>,
) -> Call {
    Call::Build(BuildParams {
        folder: folder.map(Path::to_owned),
        vectors: spool.array(),
        metric: metric.into(),
        options: parameters.clone(),
        threads: rayon::current_num_threads(),
    })
}

pub(super) fn check_metric(description: &Description, metric: Metric) -> Result<()> {
    if description.metrics.contains(&metric.into()) {
        return Ok(());
    }
    let names: Vec<_> = description.metrics.iter().map(|metric| metric.name()).collect();
    let message = format!("plugin `{}` does not know the metric {metric}", description.name);
    Err(Error::new(ErrorKind::Invalid, message).hint(format!("it knows: {}", names.join(", "))))
}

/// Checks what a user set against what a plugin says of its options.
pub(super) fn check_options(description: &Description, set: &Parameters) -> Result<()> {
    for (name, value) in set {
        let Some(option) = description.options.iter().find(|option| option.name == *name) else {
            let names: Vec<_> =
                description.options.iter().map(|option| option.name.as_str()).collect();
            let hint = match names.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has: {}", names.join(", ")),
            };
            let message = format!("kind `{}` has no parameter `{name}`", description.name);
            return Err(Error::new(ErrorKind::Invalid, message).hint(hint));
        };
        option.check(value).map_err(|reason| {
            let message = format!("`{value}` can't be the value of `{name}`: {reason}");
            Error::new(ErrorKind::Invalid, message)
        })?;
    }
    Ok(())
}

/// Facts as text, not too many and not too long.
fn readable(facts: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let cut = |text: String| text.chars().take(LONGEST_FACT).collect::<String>();
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let facts = facts.into_iter().take(MOST_FACTS);
    facts.map(|(label, value)| (cut(label), cut(text(value)))).collect()
}

impl From<Metric> for simdex_plugin::Metric {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Cosine => Self::Cosine,
            Metric::L2 => Self::L2,
            Metric::Dot => Self::Dot,
        }
    }
}
