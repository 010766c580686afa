//! `index default`: the index that `similar` uses.

use crate::app::App;
use crate::args::index::DefaultArgs;

pub(super) fn run(args: &DefaultArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    if let Some(name) = &args.name {
        let collections = engine.set_default(name, &args.collections)?;
        return app.printer().line(&format!("{name} is the default of {}", collections.join(", ")));
    }
    for collection in &args.clear {
        let line = match engine.clear_default(collection)? {
            Some(was) => format!("{was} is no longer the default of {collection}"),
            None => format!("{collection} had no default"),
        };
        app.printer().line(&line)?;
    }
    Ok(())
}
