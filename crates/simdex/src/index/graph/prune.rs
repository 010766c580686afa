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
    /// Chooses at most `degree` of `candidates` (sorted, closest first, without repeats):
    /// RobustPrune (Subramanya et al. 2019, "DiskANN", Alg. 2).
    ///
    /// `between` measures two nodes; it is called O(candidates · degree) times.
    pub(super) fn choose(
        &self,
        candidates: &[Candidate],
        chosen: &mut Vec<u32>,
        mut between: impl FnMut(u32, u32) -> f32,
    ) {
        chosen.clear();
        for &(distance, node) in candidates {
            if chosen.len() == self.degree {
                break;
            }
            let covered = chosen.iter().any(|&other| self.alpha * between(other, node) <= distance);
            if !covered {
                chosen.push(node);
            }
        }
    }
}

/// Sorts candidates closest first and drops repeated nodes.
pub(super) fn sort(candidates: &mut Vec<Candidate>) {
    candidates.sort_unstable_by_key(|&(_, node)| node);
    candidates.dedup_by_key(|&mut (_, node)| node);
    candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
}
