//! A plugin for tests: exact, with everything that the protocol has, and with faults on request.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use simdex_plugin::*;

/// `METHOD:FAULT`, where FAULT is one of [`misbehave`]'s.
const FAULT: &str = "fault";

/// A file that gets a line for each index made ready: the method and the process.
const LOG: &str = "log";

/// A folder that holds a file for each build.
const ELSEWHERE: &str = "elsewhere";

/// Names that file, in the folder of the build.
const NOTE: &str = "note";

/// A file in there, while which there is nothing is dropped.
pub const BLOCKED: &str = "blocked";

/// The plugin of `PLUGINS.md`.
pub const EXAMPLE: &str = "example";

/// Every row it holds. What is on disk is the same as text.
#[derive(Default)]
pub struct Testing {
    name: String,
    rows: BTreeMap<u32, Vec<f32>>,
    dim: usize,
    metric: Option<Metric>,
    folder: Option<PathBuf>,
    fault: Option<(String, String)>,
}

/// Serves until the end, as the plugin `name`.
pub fn main(name: &str) {
    let mut plugin = Testing { name: name.to_owned(), ..Testing::default() };
    // Some faults are in the name, since `describe` comes before options.
    if let Some(fault) = name.strip_prefix("describe-") {
        plugin.fault = Some(("describe".into(), fault.into()));
    }
    serve(&mut plugin).unwrap();
}

impl Testing {
    fn settle(&mut self, method: &str, settings: &Settings) -> Result<(), Failure> {
        self.metric = Some(settings.metric);
        self.folder.clone_from(&settings.folder);
        let fault = settings.options.get(FAULT).and_then(|fault| fault.split_once(':'));
        self.fault = fault.map(|(method, fault)| (method.to_owned(), fault.to_owned()));
        if let Some(log) = settings.options.get(LOG) {
            let mut log = std::fs::File::options().append(true).create(true).open(log)?;
            writeln!(log, "{method} {}", std::process::id())?;
        }
        self.misbehave(method)
    }

    /// Does what the fault of this method says, if it has one.
    fn misbehave(&self, method: &str) -> Result<(), Failure> {
        match &self.fault {
            Some((at, fault)) if at == method => misbehave(fault),
            _ => Ok(()),
        }
    }

    /// Notes in the folder what is kept elsewhere, and then keeps it.
    fn keep_elsewhere(&self, settings: &Settings) -> Result<(), Failure> {
        let (Some(elsewhere), Some(folder)) = (settings.options.get(ELSEWHERE), &settings.folder)
        else {
            return Ok(());
        };
        let kept = tempfile::Builder::new().tempfile_in(elsewhere)?;
        std::fs::write(folder.join(NOTE), kept.path().to_string_lossy().as_bytes())?;
        kept.keep().map_err(Failure::new)?;
        Ok(())
    }

    fn save(&self) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let text = serde_json::to_string(&(self.dim, &self.rows)).map_err(Failure::new)?;
        std::fs::create_dir_all(folder.join("inner"))?;
        std::fs::write(folder.join("inner/rows.json"), text)?;
        Ok(())
    }

    fn nearest(
        &self,
        queries: Vectors<'_>,
        k: usize,
        allowed: impl Fn(u32) -> bool,
    ) -> Result<Vec<Vec<u32>>, Failure> {
        if queries.dim() != self.dim {
            return Err(Failure::invalid(format!("{} is not {}", queries.dim(), self.dim)));
        }
        let one = |query: &[f32]| {
            let rows = self.rows.iter().filter(|(row, _)| allowed(**row));
            let mut scored: Vec<_> =
                rows.map(|(row, vector)| (self.distance(query, vector), *row)).collect();
            scored.sort_by(|a, b| a.0.total_cmp(&b.0));
            scored.into_iter().take(k).map(|(_, row)| row).collect()
        };
        Ok(queries.iter().map(one).collect())
    }

    fn distance(&self, query: &[f32], vector: &[f32]) -> f64 {
        let pairs = || query.iter().zip(vector).map(|(&q, &x)| (f64::from(q), f64::from(x)));
        let dot: f64 = pairs().map(|(q, x)| q * x).sum();
        match self.metric {
            Some(Metric::L2) => pairs().map(|(q, x)| (q - x) * (q - x)).sum(),
            Some(Metric::Cosine) => -dot / pairs().map(|(_, x)| x * x).sum::<f64>().sqrt(),
            _ => -dot,
        }
    }
}

/// Says `line` instead of the answer.
fn say(line: &str) -> Result<(), Failure> {
    println!("{line}");
    std::io::stdout().flush()?;
    std::thread::park();
    Ok(())
}

fn misbehave(fault: &str) -> Result<(), Failure> {
    match fault {
        "hang" => std::thread::sleep(Duration::from_secs(3600)),
        "die" => {
            eprintln!("a last word");
            std::process::exit(7);
        }
        "killed" => {
            let own = std::process::id().to_string();
            std::process::Command::new("kill").args(["-9", &own]).status()?;
        }
        "refuse" => return Err(Failure::new("I would rather not")),
        "invalid" => return Err(Failure::invalid("these options make no sense")),
        "nonsense" => say("Loading model, please wait ...")?,
        "nan" => say(r#"{"jsonrpc": "2.0", "id": 3, "result": {"rows": [[NaN]]}}"#)?,
        "no-rows" => say(r#"{"jsonrpc": "2.0", "id": 3, "result": {}}"#)?,
        "other-id" => say(r#"{"jsonrpc": "2.0", "id": 99, "result": {"rows": [[1]]}}"#)?,
        "protocol" => say(r#"{"jsonrpc": "2.0", "id": 1, "result": {"protocol": 7}}"#)?,
        "flood" => loop {
            std::io::stdout().write_all(&[b'x'; 1 << 16])?;
        },
        _ => {}
    }
    Ok(())
}

impl Plugin for Testing {
    fn describe(&self) -> Description {
        // `describe` can't fail, and need not: whatever a fault says is said.
        let _ = self.misbehave("describe");
        let about = "every row, one by one";
        let fault = OptionSpec {
            name: FAULT.into(),
            default: "none".into(),
            about: "what goes wrong, and when".into(),
            kind: OptionKind::Text,
            sweep: Vec::new(),
        };
        let log = OptionSpec { name: LOG.into(), default: String::new(), ..fault.clone() };
        let elsewhere = OptionSpec { name: ELSEWHERE.into(), ..log.clone() };
        let width = OptionSpec {
            name: "width".into(),
            default: "8".into(),
            about: "does nothing".into(),
            kind: OptionKind::Integer { minimum: Some(1), maximum: None },
            sweep: vec!["16".into()],
        };
        let is = |what: &str| self.name.contains(what) || self.name == EXAMPLE;
        Description {
            exact: true,
            persistent: is("persistent"),
            filters: is("filter"),
            updates: is("update"),
            drops: is("drop"),
            options: match self.name.as_str() {
                EXAMPLE => vec![width],
                _ if is("drop") => vec![fault, log, elsewhere, width],
                _ => vec![fault, log, width],
            },
            ..Description::new(&self.name, "1.2.3", about, Metric::ALL)
        }
    }

    fn build(&mut self, rows: Vectors<'_>, settings: &Settings) -> Result<(), Failure> {
        self.keep_elsewhere(settings)?;
        self.settle("build", settings)?;
        self.dim = rows.dim();
        self.rows = (0..).zip(rows.iter().map(<[f32]>::to_vec)).collect();
        self.save()
    }

    fn open(&mut self, settings: &Settings) -> Result<(), Failure> {
        self.settle("open", settings)?;
        let folder = settings.folder.clone().unwrap_or_default();
        let text = std::fs::read_to_string(folder.join("inner/rows.json"))?;
        (self.dim, self.rows) = serde_json::from_str(&text).map_err(Failure::new)?;
        Ok(())
    }

    fn apply(&mut self, changes: Changes<'_>) -> Result<(), Failure> {
        self.misbehave("apply")?;
        changes.deletes.iter().for_each(|row| drop(self.rows.remove(row)));
        let vectors = changes.vectors.iter().map(<[f32]>::to_vec);
        self.rows.extend(changes.upserts.iter().copied().zip(vectors));
        self.save()
    }

    fn search(&mut self, queries: Vectors<'_>, k: usize) -> Result<Vec<Vec<u32>>, Failure> {
        self.misbehave("search")?;
        let mut found = self.nearest(queries, k, |_| true)?;
        match &self.fault {
            Some((_, fault)) if fault == "unknown-rows" => found[0][0] = u32::MAX,
            Some((_, fault)) if fault == "too-many" => found[0].resize(k + 1, 0),
            Some((_, fault)) if fault == "few" => found[0].truncate(1),
            _ => {}
        }
        Ok(found)
    }

    fn search_among(
        &mut self,
        queries: Vectors<'_>,
        k: usize,
        allowed: RowSet<'_>,
    ) -> Result<Vec<Vec<u32>>, Failure> {
        self.misbehave("search")?;
        let ignores = self.fault.as_ref().is_some_and(|(_, fault)| fault == "ignores-filter");
        self.nearest(queries, k, |row| ignores || allowed.contains(row))
    }

    fn drop_build(&mut self, gone: &Dropped) -> Result<(), Failure> {
        if let Some(("drop", fault)) =
            gone.options.get(FAULT).and_then(|fault| fault.split_once(':'))
        {
            misbehave(fault)?;
            if fault == "forget" {
                return Ok(());
            }
        }
        let note = |folder: &PathBuf| std::fs::read_to_string(folder.join(NOTE)).ok();
        let (noted, kept) = (note(&gone.folder), gone.kept.as_ref().and_then(note));
        if noted.is_some() && noted == kept {
            return Ok(());
        }
        if let Some(path) = noted.map(PathBuf::from).filter(|path| path.exists()) {
            if path.with_file_name(BLOCKED).exists() {
                return Err(Failure::new("not now"));
            }
            std::fs::remove_file(path)?;
        }
        // What an index finds must be gone, too.
        let _ = std::fs::remove_dir_all(gone.folder.join("inner"));
        Ok(())
    }

    fn stats(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("rows".into(), self.rows.len().to_string())])
    }
}
