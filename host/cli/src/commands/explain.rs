//! `gleaner queue explain`, for people: why a job waits or how it ended, what was tried, what comes next and when.
//!
//! What there is to say is the desk's to know; must never look anything up here.

use gleaner_desk::{Explained, explain as explained};
use gleaner_store::JobView;

use crate::commands::queue::no_such_job;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// `gleaner queue explain`.
pub(crate) async fn explain(context: &Context, id: &str) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    // Loading the plugins takes longest: the library is read meanwhile.
    let (view, planner) = tokio::join!(library.find(id), async {
        let runtime = context.runtime()?;
        Ok::<_, Failed>(context.planner(&context.resolvers(&runtime).await))
    });
    let (view, planner) = (view?.ok_or_else(|| no_such_job(context, id))?, planner?);
    let explained = explained(context.look(&library), &view, &planner).await?;
    if context.output.is_json() {
        context.output.json(&explained)?;
    } else {
        print(context, &view, &explained)?;
    }
    Ok(Exit::Well)
}

fn print(context: &Context, view: &JobView, explained: &Explained) -> Result<(), Failed> {
    let Explained { why, tried, next, then, .. } = explained;
    let row = &view.row;
    let out = &context.output;
    let title = view.artifact.title.as_deref().map_or(String::new(), |title| format!(", {title:?}"));
    let under = row.key.as_ref().map_or(String::new(), |key| format!(" under {key}"));
    out.line(&format!("Job {}: {}{title}\nIt is {}{under}.", row.id, row.artifact_id, row.state))?;
    for why in why {
        out.line(&format!("- {}", why.says))?;
        if let Some(to_do) = &why.to_do {
            out.line(&format!("  {to_do}"))?;
        }
    }
    if !tried.is_empty() {
        out.line("\nTried so far:")?;
        let rows: Vec<_> = tried.iter().map(|tried| tried.row()).collect();
        out.table(&["STEP", "FROM", "CAME TO", "DETAIL"], &rows)?;
    }
    if !next.is_empty() {
        out.line("\nWhat comes next, in this order, until a file is accepted:")?;
        let rows: Vec<_> = next.iter().map(|next| next.row()).collect();
        out.table(&["STEP", "WHERE", "WHEN", "TIER"], &rows)?;
    }
    match then {
        Some(ending) => Ok(out.line(&format!("\n{}", ending.in_words()))?),
        None => Ok(()),
    }
}
