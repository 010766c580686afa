//! `man`: manual pages, from the definitions of the options.

use std::fs;

use anyhow::Context as _;
use clap::CommandFactory;

use crate::app::App;
use crate::args::{Cli, ManArgs};
use crate::failure::UserError;

pub(super) fn run(args: &ManArgs, app: &App) -> anyhow::Result<()> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return app.printer().data(|out| Ok(out.write_all(&page)?));
    };
    fs::create_dir_all(folder)
        .map_err(|error| UserError::new(format!("can't make {}: {error}", folder.display())))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("writing manual pages to {}", folder.display()))
}
