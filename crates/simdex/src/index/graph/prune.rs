//! Which candidates become neighbours.

/// A candidate: its distance and its node.
pub(super) type Candidate = (f32, u32);

/// How lists are cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pruning {
    /// The longest list.
    pub(super) degree: usize,
    /// A candidate is left out when `alpha` times its squared distance to a chosen one is at most
    /// its own. Above 1 it keeps longer edges, which shorten walks.
    pub(super) alpha: f32,
}

impl Pruning {
    /// Chooses at most `degree` of `candidates` (sorted, closest first, without repeats), which it
    /// empties: RobustPrune (Subramanya et al. 2019, "DiskANN", Alg. 2).
    ///
    /// `measure` gives the distances of a chosen node to the candidates that are left; it is called
    /// once for each that is chosen.
    pub(super) fn choose(
        &self,
        candidates: &mut Vec<Candidate>,
        chosen: &mut Vec<u32>,
        mut measure: impl FnMut(u32, &[Candidate], &mut Vec<f32>),
    ) {
        chosen.clear();
        let mut distances = Vec::with_capacity(candidates.len());
        while let Some(&(_, closest)) = candidates.first() {
            chosen.push(closest);
            if chosen.len() == self.degree {
                break;
            }
            candidates.remove(0);
            distances.clear();
            measure(closest, candidates, &mut distances);
            let mut between = distances.iter();
            candidates.retain(|&(distance, _)| {
                between.next().is_none_or(|between| self.alpha * between > distance)
            });
        }
    }
}

/// Sorts candidates closest first and drops repeated nodes.
pub(super) fn sort(candidates: &mut Vec<Candidate>) {
    candidates.sort_unstable_by_key(|&(_, node)| node);
    candidates.dedup_by_key(|&mut (_, node)| node);
    candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
}
