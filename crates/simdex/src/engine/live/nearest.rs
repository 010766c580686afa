//! Searches of a held index, and of the rows themselves where nothing is built.

use std::collections::HashSet;

use super::like_faiss;
use super::{Held, LiveAnswer, LiveRequest, Scoring, check_size};
use crate::engine::api::Plan;
use crate::engine::rows::Rows;
use crate::engine::scope::Scope;
use crate::engine::search::without_plugin;
use crate::error::Result;
use crate::kernels::Kernels;
use crate::observe::Observer;
use crate::search::closest::Closest;
use crate::search::filter::KeyFilter;
use crate::search::merge::Layers;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::search::topk::{Scored, TopK};
use crate::snapshot::census::Census;
use crate::snapshot::{Snapshot, key};
use crate::store::Id;
use crate::store::blob;
use crate::types::Metric;

impl Held {
    pub(super) fn search(
        &self,
        request: &LiveRequest,
        observer: &dyn Observer,
    ) -> Result<LiveAnswer> {
        let metric = metric(request, self.definition.metric);
        let query = Query::from_f32(&request.vector, metric)?;
        let mut answer = LiveAnswer {
            matches: Vec::new(),
            metric,
            plan: self.plan(),
            worn: self.is_worn(),
            notices: Vec::new(),
        };
        if self.rows() == 0 {
            return Ok(answer);
        }
        let base = &self.view.generation.base;
        let source = self.definition.sources.first().map_or("", |source| source.name());
        check_size(query.dim(), base.dim(), &format!("`{source}`"))?;
        let notices = &mut answer.notices;
        answer.matches = match request.scoring {
            Scoring::LikeFaiss => {
                let metric = self.definition.metric;
                like_faiss::search(&self.view, metric, &query, request.k, notices, observer)?
            }
            Scoring::Exact | Scoring::ExactUnder(_) => {
                self.exact(&query, request, notices, observer)?
            }
        };
        Ok(answer)
    }

    fn exact(
        &self,
        query: &Query,
        request: &LiveRequest,
        notices: &mut Vec<String>,
        observer: &dyn Observer,
    ) -> Result<Vec<(Id, f64)>> {
        let (generation, delta) = (&self.view.generation, &self.view.delta);
        let (filter, without) = filter(request);
        // Rows to be left out take up places; ids may repeat.
        let tail = delta.tail.as_ref();
        let copies = |key: &Vec<u8>| {
            let of = |rows: &Snapshot| rows.keys().find(key).count();
            of(&generation.base) + tail.map_or(0, of)
        };
        let k = request.k.saturating_add(without.iter().map(copies).sum());
        let new_top = || TopK::new(query.metric(), k, &[""]);
        let mut top = new_top();
        if query.metric() == self.definition.metric {
            let index = generation.index.as_deref();
            let tail = self.view.tail.as_deref();
            let layers = Layers { base: &generation.base, index, delta, tail };
            let failure;
            (top, failure) = layers.search_or_exact(query, k, &filter, new_top, observer)?;
            notices.extend(failure.as_ref().map(without_plugin));
        } else {
            let live = |row: &usize| !delta.tombstones.contains(*row);
            score_all(&generation.base, live, query, &filter, &mut top, observer)?;
            if let Some(tail) = tail {
                score_all(tail, |_| true, query, &filter, &mut top, observer)?;
            }
        }
        Ok(finish(top, &without, request.k))
    }
}

/// Scores the rows of a snapshot one by one.
fn score_all(
    rows: &Snapshot,
    live: impl Fn(&usize) -> bool,
    query: &Query,
    filter: &KeyFilter,
    top: &mut TopK,
    observer: &dyn Observer,
) -> Result<()> {
    let Some(vectors) = rows.vectors() else { return Ok(()) };
    for row in (0..rows.rows()).filter(live) {
        if row % 1024 == 0 {
            observer.checkpoint()?;
        }
        let key = rows.keys().get(row);
        if filter.admits(key) {
            let score = exact_score(query, vectors.row(row));
            // A row that is all zeros has no cosine.
            if !score.is_nan() && top.admits(score) {
                let (source, id) = key::decode(key)?;
                top.push(Scored { score, source, id });
            }
        }
    }
    Ok(())
}

/// Reads every row from the database and keeps the closest.
pub(super) fn scan(
    request: &LiveRequest,
    scope: &Scope,
    rows: &Rows<'_>,
    observer: &dyn Observer,
) -> Result<LiveAnswer> {
    let metric = metric(request, scope.metric);
    let query = Query::from_f32(&request.vector, metric)?;
    let (filter, without) = filter(request);
    let without: HashSet<_> = without.into_iter().collect();
    let kernels = Kernels::detect();
    let mut census = Census::default();
    let mut top = TopK::new(metric, request.k, &[""]);
    let mut closest = Closest::new(request.k);
    rows.each("searching", observer, |bytes, embedding| {
        let blob = match blob::check(embedding, metric) {
            Ok(blob) => blob,
            Err(defect) => {
                census.defect(defect);
                return Ok(());
            }
        };
        census.sound(blob.len() / 4);
        if blob.len() / 4 != query.dim() || !filter.admits(bytes) || without.contains(bytes) {
            return Ok(());
        }
        let row = blob::decode(blob);
        if request.scoring == Scoring::LikeFaiss {
            let distance = query.distance_of_faiss(kernels, &row);
            if closest.admits(distance) {
                closest.push(distance, key::decode(bytes)?.1);
            }
            return Ok(());
        }
        let score = exact_score(&query, &row);
        if top.admits(score) {
            let (source, id) = key::decode(bytes)?;
            top.push(Scored { score, source, id });
        }
        Ok(())
    })?;
    if let Some(dim) = census.dimension() {
        check_size(query.dim(), dim, &scope.describe())?;
    }
    let matches = match request.scoring {
        Scoring::LikeFaiss => closest.finish(),
        Scoring::Exact | Scoring::ExactUnder(_) => finish(top, &[], request.k),
    };
    let plan = Plan {
        index: None,
        reason: "nothing is built yet".into(),
        rows: census.searchable(),
        tail: 0,
        diffed: false,
    };
    Ok(LiveAnswer { matches, metric, plan, worn: false, notices: Vec::new() })
}

fn metric(request: &LiveRequest, own: Metric) -> Metric {
    match request.scoring {
        Scoring::Exact => own,
        Scoring::ExactUnder(metric) => metric,
        Scoring::LikeFaiss => Metric::L2,
    }
}

/// The ids asked for, and the keys to be left out.
fn filter(request: &LiveRequest) -> (KeyFilter, Vec<Vec<u8>>) {
    let keys = |ids: &[Id]| ids.iter().map(|id| key::encoded(0, id)).collect::<Vec<_>>();
    let allowed = request.only.as_deref().map(|ids| keys(ids).into_iter().collect());
    (KeyFilter { allowed, ..KeyFilter::default() }, keys(&request.without))
}

fn finish(top: TopK, without: &[Vec<u8>], k: usize) -> Vec<(Id, f64)> {
    let rows = top.finish().into_iter();
    let kept = rows.filter(|row| !without.contains(&key::encoded(0, &row.id)));
    kept.take(k).map(|row| (row.id, row.score)).collect()
}
