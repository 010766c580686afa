//! Builds that are no longer needed: what a plugin keeps elsewhere for them is its to remove.

use serde_json::Value;
use simdex_plugin::{Call, DropParams};

use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::kind::Plugin;
use crate::index::{Gone, Kind, Released};
use crate::observe::Observer;

/// Has a plugin that says `drops` drop each build. One process for all of them, and none for a
/// plugin that is known to keep nothing elsewhere.
pub(super) fn release(plugin: &Plugin, gone: &Gone<'_>, observer: &dyn Observer) -> Released {
    if gone.folders.is_empty() || !plugin.keeps_elsewhere(gone.made) {
        return Released::Done;
    }
    let said = |error: &Error| {
        let name = plugin.name();
        format!("what plugin `{name}` keeps elsewhere may still be there: {error}")
    };
    match dropped(plugin, gone, observer) {
        Ok(None) => Released::Done,
        Ok(Some(refusal)) => Released::Never(said(&refusal)),
        Err(error) => Released::NotYet(said(&error)),
    }
}

/// Drops every build, and returns the last that the plugin says it never can.
fn dropped(plugin: &Plugin, gone: &Gone<'_>, observer: &dyn Observer) -> Result<Option<Error>> {
    let mut session = plugin.start(observer)?;
    if !session.description().drops {
        return Ok(None);
    }
    let mut refusal = None;
    for folder in gone.folders {
        let call = Call::Drop(DropParams {
            folder: folder.clone(),
            kept: gone.kept.map(ToOwned::to_owned),
            options: gone.parameters.clone(),
        });
        match session.call::<Value>(call, observer).map_err(Error::from) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Invalid => refusal = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(refusal)
}
