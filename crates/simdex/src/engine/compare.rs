//! Compare: the indexes of a collection, and kinds tried on the fly, on its own rows.

use rusqlite::types::ValueRef;

use crate::catalog::Definition;
use crate::compare::{
    self, CompareRequest, Comparison, Contender, Contest, default_held_out, hold_out,
};
use crate::engine::Engine;
use crate::engine::api::{NewSource, Skipped};
use crate::engine::rows::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::matrix::MatrixBuilder;
use crate::observe::Observer;
use crate::snapshot::census::Census;
use crate::store::blob;
use crate::store::source::Source;
use crate::types::Metric;

/// What is compared: the rows of these sources, under these contenders.
struct Subject {
    sources: Vec<Source>,
    contenders: Vec<Contender>,
}

impl Engine {
    /// Measures every index that a collection has, and kinds tried on the fly, with some of its
    /// rows held out as queries. Everything is built in memory; nothing is written.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for kinds and parameters, or too few rows; `Cancelled`.
    pub fn compare(&self, request: &CompareRequest, observer: &dyn Observer) -> Result<Comparison> {
        let mut notices = Vec::new();
        let Subject { sources, contenders } = self.subject(request, &mut notices)?;
        let (rows, skipped) = self.copy_rows(&sources, strictest(&contenders), observer)?;
        if skipped.total() > 0 {
            let reasons = skipped.reasons();
            let reasons = reasons.iter().map(|(reason, rows)| format!("{rows}: {reason}"));
            let reasons: Vec<_> = reasons.collect();
            notices.push(format!("rows that can't be searched: {}", reasons.join(", ")));
        }
        let held = request.queries.unwrap_or_else(|| default_held_out(rows.rows()));
        let (base, queries) = hold_out(rows, held)?;
        let (k, threads) = (request.k, request.threads);
        let contest = Contest { base, queries, truth: None, contenders, k, threads };
        let mut comparison = compare::run(&contest, observer)?;
        notices.append(&mut comparison.notices);
        Ok(Comparison { notices, ..comparison })
    }

    /// A collection's rows and the indexes that cover it or, where the name is an index, its rows
    /// and it.
    fn subject(&self, request: &CompareRequest, notices: &mut Vec<String>) -> Result<Subject> {
        let loaded = self.catalog()?.1;
        notices.extend(loaded.notice);
        let database = self.database()?;
        let found = Source::find(&NewSource::Collection(request.name.clone()), &database.read()?);
        let index = loaded.catalog.get(&request.name).ok();
        let (sources, indexes): (Vec<Source>, Vec<&Definition>) = match (found, index) {
            (Ok(source), _) => {
                let all = loaded.catalog.definitions().iter();
                let covering = all.filter(|index| index.covers(&request.name)).collect();
                (vec![source], covering)
            }
            (Err(_), Some(index)) => (index.sources.clone(), vec![index]),
            (Err(error), None) => return Err(error),
        };
        let metric = common_metric(&indexes, &sources);
        let mut contenders = Vec::new();
        for index in indexes {
            let contender =
                Contender::new(&index.kind, index.parameters.clone(), index.metric, &self.plugins)?;
            contenders.push(contender.of_index(&index.name));
        }
        for tried in &request.tries {
            contenders.push(Contender::new(
                &tried.kind,
                tried.parameters.clone(),
                metric,
                &self.plugins,
            )?);
        }
        if contenders.is_empty() {
            contenders.extend(Contender::every_kind(metric));
        }
        Ok(Subject { sources, contenders })
    }

    /// The vectors of all rows that can be searched, and how many can't.
    fn copy_rows(
        &self,
        sources: &[Source],
        metric: Metric,
        observer: &dyn Observer,
    ) -> Result<(MatrixBuilder, Skipped)> {
        let database = self.database()?;
        let read = database.read()?;
        let rows = Rows::new(sources, &read)?;
        let mut capacity = 0;
        for relation in rows.relations() {
            capacity += usize::try_from(relation.count(&read)?).unwrap_or(usize::MAX);
        }
        // The first sound row tells the dimension, which the census may correct.
        let mut dim = None;
        loop {
            let mut census = Census::default();
            let mut vectors = None;
            rows.each("reading", observer, |_, embedding| {
                let Some(blob) = sound(embedding, metric, &mut census) else { return Ok(()) };
                let dim = *dim.get_or_insert(blob.len() / 4);
                if blob.len() / 4 == dim {
                    let vectors = match &mut vectors {
                        Some(vectors) => vectors,
                        none => none.insert(MatrixBuilder::new(dim, capacity)?),
                    };
                    vectors.add_row().copy_from_slice(&blob::decode(blob));
                }
                Ok(())
            })?;
            if census.dimension() != dim {
                dim = census.dimension();
                continue;
            }
            read.confirm()?;
            let names: Vec<_> =
                sources.iter().map(|source| format!("`{}`", source.name())).collect();
            let vectors = vectors.ok_or_else(|| {
                let message = format!("no row of {} can be searched", names.join(", "));
                Error::new(ErrorKind::Invalid, message)
            })?;
            return Ok((vectors, census.skipped()));
        }
    }
}

/// The metric that kinds are tried with: that of the indexes, where they agree.
fn common_metric(indexes: &[&Definition], sources: &[Source]) -> Metric {
    let default = sources.first().map_or(Metric::Cosine, Source::default_metric);
    match indexes.split_first() {
        Some((first, rest)) if rest.iter().all(|index| index.metric == first.metric) => {
            first.metric
        }
        _ => default,
    }
}

/// The bytes of an embedding that can be searched; others are counted.
fn sound<'a>(embedding: ValueRef<'a>, metric: Metric, census: &mut Census) -> Option<&'a [u8]> {
    match blob::check(embedding, metric) {
        Ok(blob) => {
            census.sound(blob.len() / 4);
            Some(blob)
        }
        Err(defect) => {
            census.defect(defect);
            None
        }
    }
}

/// All contenders get the same rows, so those that one of them can't score are left out.
fn strictest(contenders: &[Contender]) -> Metric {
    let cosine = contenders.iter().any(|contender| contender.metric() == Metric::Cosine);
    if cosine { Metric::Cosine } else { Metric::L2 }
}
