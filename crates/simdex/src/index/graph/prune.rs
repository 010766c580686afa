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
        mut measure: impl FnMut(u32, &[Candidate], &mut Vec<f32>),
    ) -> Vec<u32> {
        let mut chosen = Vec::with_capacity(self.degree);
        let mut distances = Vec::with_capacity(candidates.len());
        while let Some((&(_, closest), others)) = candidates.split_first() {
            chosen.push(closest);
            if chosen.len() == self.degree {
                break;
            }
            distances.clear();
            measure(closest, others, &mut distances);
            // The closest itself goes too.
            let mut kept = 0;
            for (at, &between) in distances.iter().enumerate() {
                let candidate = candidates[at + 1];
                candidates[kept] = candidate;
                kept += usize::from(self.alpha * between > candidate.0);
            }
            candidates.truncate(kept);
        }
        candidates.clear();
        chosen
    }
}

/// Sorts candidates closest first and drops repeated nodes.
pub(super) fn sort(candidates: &mut Vec<Candidate>) {
    candidates.sort_unstable_by_key(|&(_, node)| node);
    candidates.dedup_by_key(|&mut (_, node)| node);
    candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
}
