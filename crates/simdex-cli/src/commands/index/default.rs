//! `index default`: the index that `similar` uses.

use simdex::error::Hint;

use crate::app::App;
use crate::args::index::DefaultArgs;
use crate::failure::UserError;

pub(super) fn run(args: &DefaultArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    if let Some(name) = &args.name {
        let collections = engine.set_default(name, &args.collections)?;
        return app.printer().line(&format!("{name} is the default of {}", collections.join(", ")));
    }
    for collection in &args.clear {
        let was = engine.clear_default(collection)?.ok_or_else(|| {
            let message = format!("there is no default index of a collection `{collection}`");
            UserError::new(message).hint(Hint::command("see what there is", ["index", "list"]))
        })?;
        app.printer().line(&format!("{was} is no longer the default of {collection}"))?;
    }
    Ok(())
}
