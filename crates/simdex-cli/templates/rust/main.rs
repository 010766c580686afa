//! The simdex index plugin `my-index`.

use simdex_plugin::{
    Description, Failure, Metric, OptionKind, OptionSpec, Plugin, Settings, Vectors, serve,
};

/// Keeps rows in lists, each with the sampled row it is most similar to.
#[derive(Default)]
struct Index {
    /// For each list the sampled row, and the numbers of its rows.
    lists: Vec<(Vec<f32>, Vec<u32>)>,
    rows: Vec<Vec<f32>>,
    dim: usize,
    probes: usize,
    metric: Option<Metric>,
}

impl Index {
    /// How far apart two vectors are; only the order counts.
    fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        match self.metric {
            Some(Metric::L2) => a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum(),
            Some(Metric::Cosine) => -dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
            _ => -dot(a, b),
        }
    }

    /// The numbers of the lists, closest first.
    fn closest_lists(&self, vector: &[f32]) -> Vec<usize> {
        let mut scored: Vec<(f32, usize)> = self
            .lists
            .iter()
            .enumerate()
            .map(|(list, (centre, _))| (self.distance(centre, vector), list))
            .collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        scored.into_iter().map(|(_, list)| list).collect()
    }

    fn nearest(&self, query: &[f32], k: usize) -> Vec<u32> {
        let lists = self.closest_lists(query);
        let rows = lists.iter().take(self.probes).flat_map(|&list| &self.lists[list].1);
        let mut scored: Vec<(f32, u32)> =
            rows.map(|&row| (self.distance(&self.rows[row as usize], query), row)).collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        scored.into_iter().take(k).map(|(_, row)| row).collect()
    }
}

impl Plugin for Index {
    fn describe(&self) -> Description {
        let option = |name: &str, default: &str, about: &str, sweep: &[&str]| OptionSpec {
            name: name.to_owned(),
            default: default.to_owned(),
            about: about.to_owned(),
            kind: OptionKind::Integer { minimum: Some(1), maximum: None },
            sweep: sweep.iter().map(ToString::to_string).collect(),
        };
        let about = "approximate: rows by their most similar of a few sampled rows";
        Description {
            options: vec![
                option("lists", "30", "how many rows are sampled", &[]),
                option("probes", "15", "lists that a search reads", &["1", "5"]),
            ],
            ..Description::new("my-index", "0.1.0", about, Metric::ALL)
        }
    }

    fn build(&mut self, rows: Vectors<'_>, settings: &Settings) -> Result<(), Failure> {
        let option = |name: &str, default: usize| {
            settings.options.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        self.metric = Some(settings.metric);
        self.probes = option("probes", 15);
        self.dim = rows.dim();
        // Row numbers are positions in `rows`.
        self.rows = rows.iter().map(<[f32]>::to_vec).collect();
        let step = (self.rows.len() / option("lists", 30)).max(1);
        let sampled = self.rows.iter().step_by(step);
        self.lists = sampled.map(|centre| (centre.clone(), Vec::new())).collect();
        for (number, row) in rows.iter().enumerate() {
            let closest = self.closest_lists(row)[0];
            self.lists[closest].1.push(number as u32);
        }
        Ok(())
    }

    fn search(&mut self, queries: Vectors<'_>, k: usize) -> Result<Vec<Vec<u32>>, Failure> {
        if queries.dim() != self.dim {
            let (queries, rows) = (queries.dim(), self.dim);
            return Err(Failure::invalid(format!("{queries} dimensions; the rows have {rows}")));
        }
        // Closest first. No scores: simdex computes them, exactly.
        Ok(queries.iter().map(|query| self.nearest(query, k)).collect())
    }
}

pub fn main() -> std::io::Result<()> {
    serve(&mut Index::default())
}
