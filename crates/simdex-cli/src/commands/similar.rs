//! `similar`: what `llm similar` does, and more.

use simdex::engine::api::{Target, Through};

use super::search::{Inquiry, answer};
use crate::app::App;
use crate::args::query::SimilarArgs;
use crate::output::Column;
use crate::query;

pub(super) fn run(args: &SimilarArgs, app: &App) -> anyhow::Result<()> {
    let through = match (&args.index, args.exact) {
        (Some(name), _) => Through::Index(name.clone()),
        (None, true) => Through::Exact,
        (None, false) => Through::Default,
    };
    let inquiry = Inquiry {
        target: Target::Collection(args.collection.clone(), through),
        id_source: Some(args.collection.clone()),
        question: query::question(&args.query, app.printer())?,
        filter: query::filter(&args.filter)?,
    };
    answer(inquiry, &args.output, Column::Left, app)
}
