//! What every command is given: the printer, the engine, the observer.

use simdex::Engine;
use simdex::engine::api::Location;
use tracing_subscriber::EnvFilter;

use crate::args::GlobalArgs;
use crate::paths;
use crate::printer::{Printer, Talk};
use crate::progress::Progress;

/// One run of the program.
pub(crate) struct App {
    options: GlobalArgs,
    printer: Printer,
}

impl App {
    pub(crate) fn new(options: GlobalArgs) -> Self {
        let talk = match (options.quiet, options.verbose) {
            (true, _) => Talk::Quiet,
            (false, 0) => Talk::Normal,
            (false, _) => Talk::Verbose,
        };
        if options.verbose > 1 {
            log_to_stderr();
        }
        Self { options, printer: Printer::new(talk) }
    }

    pub(crate) fn printer(&self) -> &Printer {
        &self.printer
    }

    /// The engine on the user's database.
    pub(crate) fn engine(&self) -> anyhow::Result<Engine> {
        let database = paths::database(self.options.database.as_deref())?;
        database.check()?;
        self.printer.detail(&format!("database: {}", database.path.display()));
        self.engine_at(database.path)
    }

    /// Whether `-d` names a database.
    pub(crate) fn names_database(&self) -> bool {
        self.options.database.is_some()
    }

    /// The engine on a given database.
    pub(crate) fn engine_at(&self, database: std::path::PathBuf) -> anyhow::Result<Engine> {
        let index_dir = paths::index_folder(self.options.index_dir.as_deref());
        Ok(Engine::open(Location { database, index_dir })?)
    }

    /// Begins work that may take long. Call it once a command, when nothing is left to ask.
    pub(crate) fn progress(&self) -> anyhow::Result<Progress> {
        Progress::start(&self.printer)
    }

    /// This program with the options that find the same database again, for commands to copy.
    pub(crate) fn command(&self) -> String {
        let mut command = crate::shell::this_program();
        if let Some(path) = &self.options.database {
            command += &format!(" -d {}", crate::shell::quote(&path.to_string_lossy()));
        }
        if let Some(path) = &self.options.index_dir {
            command += &format!(" --index-dir {}", crate::shell::quote(&path.to_string_lossy()));
        }
        command
    }
}

/// `RUST_LOG` narrows or widens what is logged.
fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("simdex=debug"));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only fails when a subscriber is set already, and then that one logs.
    let _ = format.with_ansi(false).try_init();
}
